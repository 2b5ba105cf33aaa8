"""Is there room for a change? Rough before anything is staged, exact for /boot once it is."""

from enum import StrEnum, unique

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Assembly, Change
from mcd_rt.model.room import BootRoom, KernelFiles, Room
from mcd_rt.plan.layering import is_swapped

_MIB = 1 << 20

BOOT_MARGIN = 16 * _MIB
"""How much larger the next kernel and initramfs may be than the largest there, and the boot loader's own files."""

UNPACKED = 4
"""How much larger a package is on disk than as an RPM: of xz or zstd, 2 to 4 to 1 for what is not packed already."""

ASSEMBLY_MARGIN = 1024 * _MIB
"""A new commit has its own initramfs, kernel and rpm database, some 100 MiB each, and its checkout thousands of
directories; and ostree itself keeps some of the file system free (``min-free-space-*``)."""

REBASE_MARGIN = 3072 * _MIB
"""A whole OS is 2 to 3 GiB unpacked; how much of it is on the node already is not known before it is pulled."""

ASSEMBLY_MEMORY = 512 * _MIB
"""rpm-ostreed with its solver and rpm databases, and the scripts and dracut it runs: it was killed for want of memory
on swaps to kernel-rt (``reference/machine-config-daemon.md`` 7, 14)."""

_CLEAN_UP = "`rpm-ostree cleanup -r` drops the rollback"


@unique
class Fit(StrEnum):
    """Whether something fits into /boot: as it is, once what is not needed any more is dropped, or not at all."""

    NOW = "now"
    AFTER_PRUNE = "after-prune"
    NEVER = "never"


def judge_room(change: Change, deployments: Deployments, room: Room) -> Failure | None:
    """Why memory or disk are too small for a change (``memory-low``, ``disk-space``); /boot is ``fit_boot``'s."""
    if not _assembles(change, deployments):
        return None
    if room.memory is not None and room.memory < ASSEMBLY_MEMORY:
        return Failure(
            Code.MEMORY_LOW,
            f"{_size(room.memory)} of memory are available, and rpm-ostree may take {_size(ASSEMBLY_MEMORY)}",
            "free memory, or drain the node; nothing was begun",
        )
    needed = _disk_needed(change)
    if room.sysroot is not None and room.sysroot < needed:
        return Failure(
            Code.DISK_SPACE,
            f"/sysroot has {_size(room.sysroot)} free, and the new deployment may take {_size(needed)}",
            f"make room: {_CLEAN_UP}, `podman image prune` unused images; nothing was begun",
        )
    return None


def estimate_boot(change: Change, deployments: Deployments, boot: BootRoom) -> int:
    """How many bytes a change may need in /boot: room for one more pair as large as the largest there."""
    if not _assembles(change, deployments) or _has_its_pair(change, deployments):
        return 0
    return max((directory.size for directory in boot.directories), default=0) + BOOT_MARGIN


def boot_needed(files: KernelFiles | None) -> int:
    """How many bytes a staged deployment does need in /boot; none where that is not known."""
    return 0 if files is None or files.known else files.size


def fit_boot(boot: BootRoom, needed: int, deployments: Deployments) -> Fit:
    """Whether so many bytes more fit into /boot."""
    if needed <= boot.available:
        return Fit.NOW
    return Fit.AFTER_PRUNE if needed <= boot.available + prunable(boot, deployments) else Fit.NEVER


def refuse_boot(boot: BootRoom, needed: int, deployments: Deployments) -> Failure:
    """``boot-space``, with its numbers; for what does not fit, and for what this ostree makes no room for."""
    said = (
        f"/boot has {_size(boot.available)} free, and kernel and initramfs of the new deployment need {_size(needed)}"
    )
    gain = prunable(boot, deployments)
    if needed <= boot.available + gain:
        return Failure(Code.BOOT_SPACE, f"{said}; this ostree does not drop the rollback by itself", _CLEAN_UP)
    dropped = f", of which dropping the rollback gives {_size(gain)}" if gain else ""
    hint = f"{_CLEAN_UP}; look for pinned deployments (`ostree admin pin -u`), and for files that are not ostree's"
    return Failure(Code.BOOT_SPACE, f"{said}{dropped}", hint)


def prunable(boot: BootRoom, deployments: Deployments) -> int:
    """Bytes that ostree can drop before it writes: pairs that only the rollback has, or nobody.

    It keeps the booted deployment, pinned ones and those of other stateroots, and drops nothing where /boot is on
    the file system of its repository (``auto_early_prune_old_deployments``).
    """
    booted = deployments.booted
    if boot.shared or booted is None:
        return 0
    others = (each for each in deployments.all if not (each.booted or each.staged or each.pinned))
    dropped = {each.id for each in others if _stateroot(each) == _stateroot(booted)}
    return sum(directory.size for directory in boot.directories if dropped.issuperset(directory.deployments))


def _has_its_pair(change: Change, deployments: Deployments) -> bool:
    """The way back to a base that a deployment has as it came: kernel and initramfs are the base's, and there."""
    if change.target.kernel_type is not KernelType.DEFAULT:
        return False
    there = (each for each in deployments.all if not each.staged and not is_swapped(each))
    return any(each.stands_on(change.target.base) for each in there)


def _assembles(change: Change, deployments: Deployments) -> bool:
    """Whether a commit is made: kernel arguments alone only check out another deployment, if nothing is layered."""
    layered = deployments.merge.checksum != deployments.merge.base_checksum
    return layered or any(isinstance(step, Assembly) for step in change.steps)


def _disk_needed(change: Change) -> int:
    assemblies = [step for step in change.steps if isinstance(step, Assembly)]
    packages = sum(package.size for step in assemblies for package in step.install)
    rebase = REBASE_MARGIN if any(step.rebase is not None for step in assemblies) else 0
    return packages * UNPACKED + rebase + ASSEMBLY_MARGIN


def _stateroot(deployment: Deployment) -> str:
    return deployment.id.rpartition("-")[0]


def _size(count: int) -> str:
    return f"{count / _MIB:.0f} MiB"
