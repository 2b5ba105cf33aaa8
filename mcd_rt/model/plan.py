"""What has to change, as values."""

import hashlib
import json
from dataclasses import asdict, dataclass

from mcd_rt.errors import Failure
from mcd_rt.model.content import Package
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra


@dataclass(frozen=True, slots=True)
class Target:
    """The goal of a change.

    ``packages`` are the kernel packages layered in it, ``kernel_release`` what ``uname -r`` must say
    when it runs (empty: not known beforehand). ``image_digest`` is empty for the default kernel, which
    needs no image.
    """

    kernel_type: KernelType
    base_checksum: str
    image_digest: str
    packages: tuple[Nevra, ...]
    kernel_release: str

    @property
    def identity(self) -> str:
        """What attempts are counted against: equal goals, equal identity."""
        facts = asdict(self) | {"packages": sorted(str(package) for package in self.packages)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Assembly:
    """One ``UpdateDeployment``: set differences against the merge deployment, each sorted.

    ``uninstall`` holds requested names and NEVRAs, ``remove`` and ``reset`` names of base packages.
    """

    install: tuple[Package, ...] = ()
    uninstall: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Tells assemblies with the same names but other bytes apart: rpm-ostree's join rule cannot.

        ``reference/rpm-ostree-dbus.md`` 2, "Busy / join": descriptors are compared by index.
        """
        content = "\n".join(sorted(package.sha256 for package in self.install))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the staged deployment must look like when it is read back; sets, as sorted tuples."""

    base_checksum: str
    local: tuple[Nevra, ...]
    requested: tuple[str, ...]
    removals: tuple[str, ...]
    replacements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steady:
    """Nothing to do: the node runs what is wanted."""

    summary: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to do until something outside changes."""

    reason: Failure


@dataclass(frozen=True, slots=True)
class Ignored:
    """Asked for what this image cannot give (the proposal's story 4): healthy, said, no change."""

    reason: Failure


@dataclass(frozen=True, slots=True)
class Refused:
    """Must not be done; a person must act."""

    reason: Failure


@dataclass(frozen=True, slots=True)
class NeedsBase:
    """Cannot be planned without the kernel packages of a base commit."""

    base_checksum: str


@dataclass(frozen=True, slots=True)
class NeedsContent:
    """Cannot be planned without the packages of these names out of an image."""

    image: ImageReference
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One assembly that leads to a target, from the merge deployment ``merge_id``.

    ``kept`` lists what is not ours and stays (for people); ``on_staged`` says that it is built upon
    work another client has staged or put first in the boot order, so that it must not be dropped;
    ``foreign_removals`` are kernel packages somebody else had removed before us, which a way back must
    leave removed.
    """

    target: Target
    merge_id: str
    assembly: Assembly
    shape: Shape
    kept: tuple[str, ...]
    on_staged: bool
    foreign_removals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reboot:
    """Everything is staged and right: finalize and reboot into it."""

    deployment_id: str
    base_checksum: str
    locked: bool
    on_staged: bool
    target: Target


@dataclass(frozen=True, slots=True)
class Discard:
    """What we staged is not wanted any more."""

    deployment_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """Wanted and possible, but the brake is on; ``until`` is when it lets go by itself, if it does."""

    reason: Failure
    until: float | None


Plan = Steady | Waiting | Ignored | Refused | NeedsBase | NeedsContent | Change | Reboot | Discard | Held
