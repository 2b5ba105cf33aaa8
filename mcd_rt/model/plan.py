"""What has to change, as values."""

import hashlib
import json
from dataclasses import field

from mcd_rt.errors import Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Package
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra


@frozen
class Target:
    """The goal of a change.

    ``base`` is the base it stands on (``Deployment.base``), ``packages`` are the kernel packages layered in it,
    ``kernel_release`` what ``uname -r`` must say when it runs (empty: not known beforehand). ``image_digest`` is
    that of the image the packages come from; empty for the default kernel, which needs none. ``kernel_arguments``
    are those that are wanted, whoever put them there.
    """

    kernel_type: KernelType
    base: str
    image_digest: str
    packages: tuple[Nevra, ...]
    kernel_release: str
    kernel_arguments: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """What attempts are counted against: equal goals, equal identity, whatever is known of them."""
        facts = {
            "kernel_type": self.kernel_type,
            "base": self.base,
            "image_digest": self.image_digest,
            "packages": sorted(str(package) for package in self.packages),
            "kernel_arguments": self.kernel_arguments,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@frozen
class Rebase:
    """Another OS image as the base, in the same transaction.

    ``refspec`` is what rpm-ostree is told: a container reference, or a commit of the image's own repository, which
    is then handed over with the ``custom_origin`` (URL and description) that says where it came from. ``repositories``
    says whether packages stay layered that come from the host's repositories, which then must be reachable.
    """

    image: ImageReference
    refspec: str
    custom_origin: tuple[str, str] | None = None
    repositories: bool = False


@frozen
class Assembly:
    """One ``UpdateDeployment``: set differences against the merge deployment, each sorted.

    ``uninstall`` holds requested names and NEVRAs, ``remove`` and ``reset`` names of base packages. ``locked``: only a
    reboot of ours applies what it stages.
    """

    install: tuple[Package, ...] = ()
    uninstall: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    rebase: Rebase | None = None
    locked: bool = True

    @property
    def layers(self) -> bool:
        """Whether it changes which packages there are, not only the base."""
        return bool(self.install or self.uninstall or self.remove or self.reset)

    @property
    def digest(self) -> str:
        """Tells assemblies with the same names but other bytes apart: rpm-ostree's join rule cannot.

        ``reference/rpm-ostree-dbus.md`` 2, "Busy / join": descriptors are compared by index.
        """
        content = "\n".join(sorted(package.sha256 for package in self.install))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@frozen
class ArgumentsChange:
    """One ``KernelArgs``: of those ``existing`` the ones to ``remove``, once each, and those to ``add`` at the end.

    ``locked`` as in ``Assembly``.
    """

    existing: tuple[str, ...]
    add: tuple[str, ...]
    remove: tuple[str, ...]
    locked: bool = True


Step = Assembly | ArgumentsChange
"""One transaction that stages a deployment."""


@frozen
class Shape:
    """What the staged deployment must look like when it is read back; sets, as sorted tuples."""

    base: str
    local: tuple[Nevra, ...]
    requested: tuple[str, ...]
    removals: tuple[str, ...]
    replacements: tuple[str, ...]


@frozen
class Steady:
    """Nothing to do: the node runs what is wanted; ``running`` is that target, ``None`` where it is yet to boot."""

    summary: str
    running: Target | None = None


@frozen
class Waiting:
    """Nothing to do until something outside changes."""

    reason: Failure


@frozen
class Ignored:
    """Asked for what this image cannot give (the proposal's story 4): healthy, said, no change."""

    reason: Failure


@frozen
class Refused:
    """Must not be done; a person must act."""

    reason: Failure


@frozen
class NeedsBase:
    """Cannot be planned without the kernel packages of a base commit."""

    base_checksum: str


@frozen
class NeedsContent:
    """Cannot be planned without the packages of these names out of an image."""

    image: ImageReference
    names: tuple[str, ...]


@frozen
class NeedsDigest:
    """Cannot be planned without knowing what a tag means."""

    image: ImageReference


@frozen
class NeedsOs:
    """Cannot be planned without knowing what is in an OS image; its packages of these ``names`` are needed next."""

    image: ImageReference
    names: tuple[str, ...]


@frozen
class OwnArguments:
    """Kernel arguments of our doing: ``ours`` are there once the change runs, ``gone`` are not any more.

    An argument that is still there, but less often than it was, is named among the latter once more than it is there.
    """

    ours: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@frozen
class Change:
    """What leads to a target from the merge deployment ``merge_id``: the first of ``steps`` is the next to do.

    ``shape`` and ``kernel_arguments`` are what it leaves staged. ``kept`` lists what is not ours and stays (for
    people); ``on_staged`` says that it is built upon work another client has staged or put first in the boot order,
    so that it must not be dropped; ``foreign_removals`` are kernel packages somebody else had removed before us,
    which a way back must leave removed. ``arguments`` are ours after the first step.
    """

    target: Target
    merge_id: str
    steps: tuple[Step, ...]
    shape: Shape
    kernel_arguments: tuple[str, ...]
    kept: tuple[str, ...]
    on_staged: bool
    foreign_removals: tuple[str, ...]
    arguments: OwnArguments = field(default_factory=OwnArguments)


@frozen
class Reboot:
    """Everything is staged and right: finalize and reboot into it."""

    deployment_id: str
    base_checksum: str
    locked: bool
    on_staged: bool
    target: Target


@frozen
class Discard:
    """What we staged is not wanted any more."""

    deployment_id: str
    why: str


@frozen
class Held:
    """Wanted and possible, but the brake is on; ``until`` is when it lets go by itself, if it does."""

    reason: Failure
    until: float | None


Needs = NeedsBase | NeedsContent | NeedsDigest | NeedsOs
"""What a plan cannot be made without, and has to be asked for."""

Plan = Steady | Waiting | Ignored | Refused | Needs | Change | Reboot | Discard | Held
