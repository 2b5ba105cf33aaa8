"""The arithmetic of ``UpdateDeployment`` and ``KernelArgs``: pure, in rpm-ostree's own order and words.

Order and texts: ``reference/rpm-ostree-dbus.md`` 2, "Order inside one transaction" and "Idempotence and
exact texts". What needs a real solver, scripts or payloads is not here: ``faults.py`` has its texts.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from mcd_rt.sim.depsolve import check_dependencies
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.refspec import image_digest, is_checksum, is_container
from mcd_rt.sim.request import Update
from mcd_rt.sim.steps import STAGING, Note, Outcome, Progress, Refused, Step, Task
from mcd_rt.sim.world import Base, Origin, Repository, Rpm, System, Tree, name_of, stage

Files = Mapping[int, Rpm | str]
"""The RPM behind each descriptor index, or why it is none."""

_PULLED = Note("0 metadata, 0 content objects imported; 0 bytes content written")


def apply_update(system: System, update: Update, files: Files, profile: Profile) -> Outcome:
    """How a whole ``UpdateDeployment`` goes; its arguments were checked before."""
    steps: list[Step] = []
    try:
        tree, changed = _changed_tree(system, update, files, profile, steps)
        _prepare(tree, system.repository, steps, fetch=not update.cache_only)
        if update.dry_run:
            return Outcome(tuple(steps))
        if not changed:
            steps.append(Note("No change." if update.no_pull_base else "No upgrade available."))
            return Outcome(tuple(steps))
        _build(tree, steps, profile)
    except Refused as refused:
        return Outcome(tuple(steps), error=str(refused))
    locked = update.lock or _keeps_lock(system, profile)
    after = stage(system, tree, system.merge.kernel_arguments, locked=locked)
    return Outcome(tuple(steps), system=after, writes=True, reboot=update.reboot)


def restage(system: System, kernel_arguments: str, profile: Profile, *, lock: bool, reboot: bool) -> Outcome:
    """The merge deployment once more with other kernel arguments: assembled again where it is layered."""
    steps: list[Step] = []
    tree = system.merge.tree
    try:
        _prepare(tree, system.repository, steps, fetch=False)
        _build(tree, steps, profile)
    except Refused as refused:
        return Outcome(tuple(steps), error=str(refused))
    after = stage(system, tree, kernel_arguments, locked=lock or _keeps_lock(system, profile))
    return Outcome(tuple(steps), system=after, writes=True, reboot=reboot)


def _keeps_lock(system: System, profile: Profile) -> bool:
    return profile.restage_keeps_lock and system.staged is not None and system.staged.locked


def _changed_tree(
    system: System, update: Update, files: Files, profile: Profile, steps: list[Step]
) -> tuple[Tree, bool]:
    """The new tree, and whether any modifier did anything: what one undoes of another counts as well."""
    merge = system.merge.tree
    rebased = _rebased(merge.origin, update, profile)
    uninstalled = _uninstalled(rebased, update)
    installed = _installed(uninstalled, update, files, profile)
    overridden = _overridden(installed, update, files, merge.base)
    base = merge.base if update.no_pull_base else _pulled(system, overridden, update, steps)
    origin = _with_removals(overridden, update, base)
    stages = (merge.origin, rebased, uninstalled, installed, overridden, origin)
    changed = bool(update.refspec) or base != merge.base or any(old != new for old, new in pairwise(stages))
    for rpm in origin.local:
        if base.find(rpm.nevra):
            raise Refused(f"Package '{rpm.nevra}' is already in the base")
    return Tree(base, origin), changed


def _rebased(origin: Origin, update: Update, profile: Profile) -> Origin:
    if not update.refspec:
        return origin
    if is_container(update.refspec) and not profile.container_origins:
        raise Refused(f"Invalid refspec {update.refspec}")  # what ostree_parse_refspec says; not recorded
    refspec, (remote, colon, _branch) = update.refspec, origin.refspec.partition(":")
    if refspec.startswith(":"):
        refspec = refspec[1:]
    elif is_checksum(refspec) and colon and not is_container(origin.refspec):
        refspec = f"{remote}:{refspec}"  # a bare checksum inherits the remote (utils.cxx:45-114)
    if refspec == origin.refspec and not is_checksum(refspec):
        raise Refused(f"Old and new refs are equal: {refspec}")
    pinned = is_checksum(refspec) or image_digest(refspec)
    return replace(origin, refspec=refspec, custom=update.custom_origin if pinned else None)


def _uninstalled(origin: Origin, update: Update) -> Origin:
    if update.no_layering:
        return replace(origin, packages=(), local=())
    for name in update.uninstall:
        packages = tuple(package for package in origin.packages if package != name)
        local = tuple(rpm for rpm in origin.local if name not in (rpm.nevra, rpm.name))
        if (packages, local) == (origin.packages, origin.local) and not update.idempotent:
            raise Refused(f"Package/capability '{name}' is not currently requested")
        origin = replace(origin, packages=packages, local=local)
    return origin


def _installed(origin: Origin, update: Update, files: Files, profile: Profile) -> Origin:
    for name in update.install:
        if name in origin.packages and not update.idempotent:
            raise Refused(f"Package/capability '{name}' is already requested")
        origin = replace(origin, packages=tuple(sorted({*origin.packages, name})))
    for rpm in _imported(update.install_local, files):
        known = next((old for old in origin.local if old.nevra == rpm.nevra), None)
        if known is None:
            origin = replace(origin, local=_sorted(*origin.local, rpm))
        elif not update.idempotent:
            named = profile.already_layered.format(nevra=rpm.nevra, sha256=rpm.sha256)
            raise Refused(f"Package '{named}' is already layered")
        elif known.sha256 != rpm.sha256:
            raise Refused(f"Checksum mismatch for package {rpm.nevra}: expected {known.sha256}, found {rpm.sha256}")
    return origin


def _overridden(origin: Origin, update: Update, files: Files, base: Base) -> Origin:
    if update.no_overrides:
        origin = replace(origin, removals=(), replacements=())
    for asked in update.reset:
        in_base = base.find(asked)
        names = {asked, name_of(in_base) if in_base else asked}
        removals = tuple(name for name in origin.removals if name not in names)
        kept = tuple(rpm for rpm in origin.replacements if asked not in (rpm.nevra, rpm.name))
        if (removals, kept) == (origin.removals, origin.replacements):
            raise Refused(f"No overrides for package '{asked}'")
        origin = replace(origin, removals=removals, replacements=kept)
    for rpm in _imported(update.replace_local, files):
        others = (old for old in origin.replacements if old.name != rpm.name)
        origin = replace(origin, replacements=_sorted(*others, rpm))
    return origin


def _with_removals(origin: Origin, update: Update, base: Base) -> Origin:
    for asked in update.remove:
        found = base.find(asked)
        if not found:
            raise Refused(f'Package "{asked}" not found')
        name = name_of(found)
        if name in origin.removals:
            raise Refused(f"Override already exists for package '{name}'")
        origin = replace(origin, removals=tuple(sorted({*origin.removals, name})))
    return origin


def _pulled(system: System, origin: Origin, update: Update, steps: list[Step]) -> Base:
    if update.revision:
        return _deployed_revision(system, origin, update.revision, steps)
    base = system.resolve(origin.refspec)
    if is_container(origin.refspec):
        return _pulled_image(base, origin.refspec, steps)
    if is_checksum(origin.refspec):
        return _pulled_commit(system, base, origin.refspec, update, steps)
    if update.cache_only and origin.refspec != system.merge.tree.origin.refspec:
        raise Refused(f"Refspec '{origin.refspec}' not found")  # it forbids the pull of the branch
    if base is None:
        name = origin.refspec.rpartition(":")[2]
        raise Refused(f"While pulling {name}: Refspec '{name}' not found")
    steps += [_PULLED, Progress()]
    return base


def _pulled_image(base: Base | None, refspec: str, steps: list[Step]) -> Base:
    """Of a container; ``cache-only`` does not forbid it. The message and the error are from source, not recorded."""
    steps.append(Note(f"Pulling manifest: {refspec}"))
    if base is None:
        where = refspec.removeprefix("ostree-unverified-registry:").partition(":docker://")
        place = where[2] or where[0]
        raise Refused(f"Creating importer: failed to invoke method OpenImage: reading manifest of {place}: not found")
    return base


def _pulled_commit(system: System, base: Base | None, refspec: str, update: Update, steps: list[Step]) -> Base:
    """Of a commit: without a remote it must be in the repository, or have come out of the client's own one."""
    remote, _colon, checksum = refspec.rpartition(":")
    known = remote or update.imported == checksum or system.has_commit(checksum)
    if base is None and remote:
        raise Refused(f"While pulling {checksum}: Refspec '{checksum}' not found")
    if base is None or not known:
        raise Refused(f"No such metadata object {checksum}.commit")
    if not update.refspec:
        steps.append(Note("Pinned to commit; no upgrade available."))
    elif remote or update.imported:
        steps += [_PULLED, Progress()]
    return base


def _deployed_revision(system: System, origin: Origin, revision: str, steps: list[Step]) -> Base:
    if is_checksum(origin.refspec) or is_container(origin.refspec):
        state = "pinned to commit" if is_checksum(origin.refspec) else "tracking a container image reference"
        raise Refused(f"Cannot look up version while {state}")
    steps += [Note(f"Validating checksum '{revision}'"), _PULLED]
    base = system.resolve(revision)
    if base is None or origin.refspec not in base.refspecs:
        raise Refused(f"Checksum {revision} not found in {origin.refspec}")
    return base


def _prepare(tree: Tree, repository: Repository | None, steps: list[Step], *, fetch: bool) -> None:
    """Check out, say what is inactive, read repositories, solve."""
    origin = tree.origin
    if not (tree.overlays or origin.removals or origin.replacements):
        return
    steps.append(Task(f"Checking out tree {tree.base.checksum[:7]}"))
    active = {rpm for rpm, _old in tree.replaced}
    _tell(steps, "Inactive base removals:", [name for name in origin.removals if not tree.base.find(name)])
    _tell(steps, "Inactive base replacements:", [rpm.nevra for rpm in origin.replacements if rpm not in active])
    if not tree.layered:
        return
    if origin.packages and repository is None:
        raise Refused("No enabled repositories")
    if fetch:
        _read_repository(repository, steps)
    steps.append(Task("Resolving dependencies"))
    missing = [name for name in origin.packages if repository is None or name not in repository.packages]
    if missing:
        raise Refused(f"Packages not found: {', '.join(missing)}")
    check_dependencies(tree)


def _read_repository(repository: Repository | None, steps: list[Step]) -> None:
    if repository is None:
        steps += [Note("No enabled rpm-md repositories."), Progress("Importing rpm-md")]
        return
    steps.append(Note(f"Enabled rpm-md repositories: {repository.name}"))
    if not repository.reachable:
        raise Refused(f"Updating rpm-md repo '{repository.name}': cannot download repomd.xml")
    steps += [Note(f"rpm-md repo '{repository.name}' (cached)"), Progress("Importing rpm-md", 2)]


def _build(tree: Tree, steps: list[Step], profile: Profile) -> None:
    """Assemble what is layered, then stage."""
    if tree.layered:
        overrides, overlays = len(tree.removed) + len(tree.replaced), len(tree.overlays)
        if tree.origin.packages:
            steps.append(Progress("Importing packages", len(tree.origin.packages)))
        if overrides:
            counted = [_count(overrides, "override"), *([_count(overlays, "overlay")] if overlays else [])]
            steps += [Note("Applying " + " and ".join(counted)), Progress("Processing packages", overrides + overlays)]
        else:
            steps.append(Progress("Checking out packages", overlays))
        if overlays:
            steps += [Task("Running pre scripts"), Task("Running post scripts"), Task("Running posttrans scripts")]
        steps.append(Task("Writing rpmdb"))
        if tree.kernel_changed:
            _check_kernel(tree, profile)
            steps.append(Task("Generating initramfs"))
        steps.append(Task("Writing OSTree commit"))
    steps.append(STAGING)


def _check_kernel(tree: Tree, profile: Profile) -> None:
    """Exactly one kernel may be there when the initramfs is made (reference 4)."""
    if len(tree.module_directories) > 1:
        raise Refused(profile.several_kernels)
    if not tree.module_directories:
        raise Refused("/usr/lib/modules is empty")
    if not tree.kernel_package:
        raise Refused("Unable to find kernel (vmlinuz) in /boot or /usr/lib/modules")


def _imported(handles: tuple[int, ...], files: Files) -> list[Rpm]:
    found = []
    for handle in handles:
        match files[handle]:
            case str() as reason:
                raise Refused(reason)
            case rpm:
                found.append(rpm)
    return found


def _tell(steps: list[Step], heading: str, items: list[str]) -> None:
    steps += [Note(text) for text in (heading, *(f"  {item}" for item in items))] if items else []


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _sorted(*rpms: Rpm) -> tuple[Rpm, ...]:
    return tuple(sorted(rpms, key=lambda rpm: rpm.nevra))
