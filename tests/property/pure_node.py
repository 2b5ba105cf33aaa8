"""A node as a value: rpm-ostree's arithmetic with its error rules, and the reboot. No bus, no clock.

Rules: ``reference/rpm-ostree-dbus.md`` 2 ("Order inside one transaction", "Idempotence and exact texts") and 4. They
are the strict ones: what ``idempotent-layering`` would hide is an error here, so that a plan may not lean on it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import flavor_owning, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.plan import ArgumentsChange, Assembly, Rebase
from mcd_rt.plan.kernelargs import changed_arguments
from mcd_rt.plan.situation import Base
from tests.unit.nodes import Kernel, checksum_of


class Refusal(Exception):
    """rpm-ostree refuses a request, in its words."""


@dataclass(frozen=True)
class Os:
    """A base commit: where it came from, its kernel (a flavor's in an image built so), what else is in it."""

    image_digest: str
    kernel: Kernel
    others: tuple[Nevra, ...] = ()
    form: OsForm = OsForm.CONTAINER

    @cached_property
    def packages(self) -> tuple[Nevra, ...]:
        return tuple(sorted((*self.kernel.nevras, *self.others)))

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(package.name for package in self.packages)

    @cached_property
    def checksum(self) -> str:
        return checksum_of(repr(self))

    @cached_property
    def listed(self) -> Base:
        """What ``rpm-ostree db list`` says of it, as far as names begin with kernel."""
        return Base(self.checksum, tuple(package for package in self.packages if package.name.startswith("kernel")))

    @cached_property
    def image(self) -> OsImage:
        """What is known of it before it is on the node."""
        kernel = self.kernel
        return OsImage(
            self.image_digest, self.form, self.checksum, "9", kernel.uname, kernel.architecture, self.listed.packages
        )


@dataclass(frozen=True)
class Tree:
    """An origin: a base and what is asked on top of it."""

    os: Os
    requested: frozenset[str] = frozenset()
    local: frozenset[Nevra] = frozenset()
    removals: frozenset[str] = frozenset()
    replacements: frozenset[str] = frozenset()

    @cached_property
    def layered(self) -> bool:
        """Whether every new deployment of it has to be assembled, one with other kernel arguments, too."""
        return bool(self.requested or self.local or self.removals or self.replacements)

    @cached_property
    def checksum(self) -> str:
        return checksum_of(repr(self))


@dataclass(frozen=True, slots=True)
class Placed:
    """A tree in the boot order, with its kernel arguments."""

    id: str
    tree: Tree
    booted: bool = False
    staged: bool = False
    locked: bool = False
    pinned: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A machine: ``builds`` are the kernels its RPMs and repositories are of, ``offers`` what it may be rebased to."""

    architecture: str
    builds: tuple[Kernel, ...]
    placed: tuple[Placed, ...]
    offers: tuple[Os, ...] = ()
    boots: int = 1
    serial: int = 0
    tells_release: bool = True

    @property
    def merge(self) -> Placed:
        return self.placed[0]

    @property
    def booted(self) -> Placed:
        return next(one for one in self.placed if one.booted)

    @property
    def staged(self) -> Placed | None:
        return next((one for one in self.placed if one.staged), None)

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"


def kernels_of(node: Node, tree: Tree) -> list[Kernel]:
    """Every kernel in a tree; rpm-ostree assembles only trees with exactly one."""
    of_base = [] if f"{tree.os.kernel.prefix}-core" in tree.removals else [tree.os.kernel]
    cores = {(nevra.name, nevra.release) for nevra in tree.local}
    local = {build.uname: build for build in node.builds if (f"{build.prefix}-core", build.release) in cores}
    asked = [build for build in node.builds if f"{build.prefix}-core" in tree.requested]
    return [*of_base, *local.values(), *asked[:1]]


def check(node: Node, tree: Tree) -> None:
    """Depsolve and kernel checks; raises ``Refusal``."""
    for nevra in tree.local:
        if nevra.name in tree.os.names - tree.removals:
            raise Refusal(f"Some base packages would be replaced: {nevra.name}")
    if "kernel-core" in tree.removals:
        needing = {name for name in tree.os.names - tree.removals if is_base_kernel(name)}
        if needing:
            raise Refusal(f"Could not depsolve transaction: {sorted(needing)} need kernel-core")
    if (count := len(kernels_of(node, tree))) != 1:
        raise Refusal("Multiple kernels (vmlinuz) found" if count else "Unable to find kernel (vmlinuz)")
    _check_requirements(node, tree)


def _check_requirements(node: Node, tree: Tree) -> None:
    of_flavor = {nevra for nevra in tree.local if flavor_owning(nevra.name)}
    layered = [package for build in node.builds for package in build.packages if package.nevra in of_flavor]
    provided = {capability for package in layered for capability in package.provides}
    wanting = {
        need for package in layered for need in package.requires if need.startswith(("kernel-rt-", "kernel-64k-"))
    } - provided
    if wanting:
        raise Refusal(f"Could not depsolve transaction: nothing provides {sorted(wanting)}")


def update(node: Node, assembly: Assembly) -> Node:
    """``UpdateDeployment`` with ``lock-finalization``; raises ``Refusal``."""
    before = node.merge.tree
    tree = before if assembly.rebase is None else replace(before, os=_pulled(node, assembly.rebase))
    requested, local, removals = set(tree.requested), set(tree.local), set(tree.removals)
    for name in assembly.uninstall:
        mine = {nevra for nevra in local if name in (str(nevra), nevra.name)}
        if name not in requested and not mine:
            raise Refusal(f"Package/capability '{name}' is not currently requested")
        requested.discard(name)
        local -= mine
    for package in assembly.install:
        if package.nevra in local:
            raise Refusal(f"Package '{package.nevra}' is already layered")
        if package.nevra in tree.os.packages:
            raise Refusal(f"Package '{package.nevra}' is already in the base")
        local.add(package.nevra)
    for name in assembly.reset:
        if name not in removals:
            raise Refusal(f"No overrides for package '{name}'")
        removals.discard(name)
    for name in assembly.remove:
        if name not in tree.os.names:
            raise Refusal(f'Package "{name}" not found')
        if name in removals:
            raise Refusal(f"Override already exists for package '{name}'")
        removals.add(name)
    made = replace(tree, requested=frozenset(requested), local=frozenset(local), removals=frozenset(removals))
    if made == before:
        raise Refusal("No change.")  # success to rpm-ostree, but nobody should ask for it
    check(node, made)
    return stage(node, made, locked=True)


def _pulled(node: Node, rebase: Rebase) -> Os:
    """What a refspec names: a commit of a repository with an origin of our own, or an image by digest."""
    form = OsForm.CONTAINER if rebase.custom_origin is None else OsForm.REPOSITORY
    found = [os for os in node.offers if os.form is form and rebase.refspec.endswith((os.image_digest, os.checksum))]
    if not found:
        raise Refusal(f"Refspec '{rebase.refspec}' not found")
    if form is OsForm.CONTAINER and found[0] == node.merge.tree.os:
        raise Refusal(f"Old and new refs are equal: {rebase.refspec}")
    return found[0]


def change_arguments(node: Node, change: ArgumentsChange) -> Node:
    """``KernelArgs`` with ``lock-finalization``: what the client says was there before is what counts."""
    for argument in set(change.remove):
        if change.existing.count(argument) < change.remove.count(argument):
            raise Refusal(f"No karg '{argument}' found")
    after = changed_arguments(change)
    if after == node.merge.arguments:
        raise Refusal("No changes.")
    return stage(node, node.merge.tree, locked=True, arguments=after)


def stage(node: Node, tree: Tree, *, locked: bool, arguments: tuple[str, ...] | None = None) -> Node:
    """A new deployment in the one staged slot."""
    name = f"rhcos-{tree.checksum}.{node.serial}"
    kept = node.merge.arguments if arguments is None else arguments
    new = Placed(name, tree, staged=True, locked=locked, arguments=kept)
    rest = tuple(one for one in node.placed if not one.staged)
    return replace(node, placed=(new, *rest), serial=node.serial + 1)


def cleanup_pending(node: Node) -> Node:
    """``Cleanup(["pending-deploy"])``: everything before the booted deployment goes, unless it is pinned."""
    pending = node.placed[: node.placed.index(node.booted)]
    return replace(node, placed=tuple(one for one in node.placed if one not in pending or one.pinned))


def roll_back(node: Node) -> Node:
    """``Rollback``: what would boot next is the one before the booted one, or the booted one where it was not."""
    rest = tuple(one for one in node.placed if not one.staged)
    booted = rest.index(node.booted)
    at = booted or min(1, len(rest) - 1)
    return replace(node, placed=(rest[at], *rest[:at], *rest[at + 1 :]))


def finalize(node: Node, deployment_id: str) -> Node:
    """``FinalizeDeployment``, before its reboot; raises ``Refusal``."""
    if node.staged is None or node.staged.id != deployment_id:
        raise Refusal("No pending staged deployment found")
    return replace(node, placed=tuple(replace(one, locked=False) for one in node.placed))


def reboot(node: Node, *, finalizes: bool = True) -> Node:
    """The next boot: a staged deployment counts only if it is unlocked and the shutdown writes it."""
    placed = node.placed
    if node.staged is not None and (node.staged.locked or not finalizes):
        placed = tuple(one for one in placed if not one.staged)
    first, old = placed[0], node.booted
    kept = (one for one in placed[1:] if one.pinned or one == old)
    runs = (replace(first, booted=True, staged=False), *(replace(one, booted=False) for one in kept))
    return replace(node, placed=runs, boots=node.boots + 1)


def observe(node: Node) -> Deployments:
    """What rpm-ostree reports."""
    return Deployments(tuple(_observed(node, one) for one in node.placed), node.merge.arguments)


def host_of(node: Node) -> Host:
    """What the files of the host say."""
    runs = kernels_of(node, node.booted.tree)[0]
    realtime = runs.prefix == "kernel-rt"
    return Host(
        "rhcos",
        "coreos",
        "9",
        node.architecture,
        node.boot_id,
        runs.uname,
        realtime=realtime,
        ostree=True,
        kernel_arguments=("BOOT_IMAGE=(hd0,gpt3)/vmlinuz", *node.booted.arguments),
    )


def _observed(node: Node, one: Placed) -> Deployment:
    tree = one.tree
    return Deployment(
        id=one.id,
        checksum=tree.checksum,
        base_checksum=tree.os.checksum,
        version="9",
        image_digest=tree.os.image_digest,
        booted=one.booted,
        staged=one.staged,
        locked=one.locked,
        pinned=one.pinned,
        requested=tuple(sorted(tree.requested)),
        local=tuple(sorted(tree.local)),
        removals=tuple(sorted(tree.removals)),
        replacements=tuple(sorted(tree.replacements)),
        kernel_release=kernels_of(node, tree)[0].uname if node.tells_release else "",
        other_digests=("sha256:" + checksum_of(tree.os.image_digest),) if tree.os.image_digest else (),
    )
