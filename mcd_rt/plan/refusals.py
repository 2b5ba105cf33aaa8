"""What keeps this node from being changed, whatever is wanted: two tables of checks, each a function."""

from collections.abc import Callable

from mcd_rt.errors import Code, Failure
from mcd_rt.model.plan import Assembly, Change
from mcd_rt.plan.layering import overridden_kernels
from mcd_rt.plan.ownership import changes_base, changes_kernel, is_ours
from mcd_rt.plan.situation import Situation


def refuse_any(situation: Situation) -> Failure | None:
    """Before anything is planned: other people's work that must not be touched, a config for another node."""
    return next(filter(None, (check(situation) for check in _BEFORE_PLANNING)), None)


def refuse_change(situation: Situation, change: Change) -> Failure | None:
    """Once it is known what would be done: packages that may not be changed, another client's kernel."""
    return next(filter(None, (check(situation, change) for check in _OF_A_CHANGE)), None)


def _find_foreign_lock(situation: Situation) -> Failure | None:
    staged = situation.deployments.staged
    if staged is None or not staged.locked or is_ours(situation, staged):
        return None
    return Failure(
        Code.STAGED_BY_ANOTHER,
        f"another client staged {staged.id} and locked it",
        "it is left alone; once it is finalized or dropped (`rpm-ostree cleanup -p`) we go on",
    )


def _find_override(situation: Situation) -> Failure | None:
    overridden = overridden_kernels(situation.deployments.merge)
    if not overridden:
        return None
    return Failure(
        Code.KERNEL_OVERRIDDEN,
        f"an administrator replaced the kernel: {', '.join(overridden)}",
        "`rpm-ostree override reset` takes it back; until then the kernel is left alone",
    )


def _compare_fips(situation: Situation) -> Failure | None:
    asked, running = situation.desired.fips, situation.host.fips
    if asked is None or asked == running:
        return None
    return Failure(
        Code.FIPS_MISMATCH,
        f"{situation.desired.name} says fips: {str(asked).lower()}, "
        f"the running kernel is {'' if running else 'not '}in FIPS mode",
        "FIPS mode is chosen when a node is installed: correct the config, or install the node anew",
    )


def _find_locked_layering(situation: Situation, change: Change) -> Failure | None:
    locked = situation.host.layering_locked
    if not locked or not any(assembly.layers for assembly in _assemblies(change)):
        return None
    return Failure(
        Code.LAYERING_LOCKED,
        f"{change.target.kernel_type} needs other packages on this host, and {locked}",
        "put the kernel into the image, or allow layering",
    )


def _find_conflict(situation: Situation, change: Change) -> Failure | None:
    staged = situation.deployments.staged
    if staged is None or is_ours(situation, staged):
        return None
    if changes_kernel(situation, staged):
        conflict = f"which changes the kernel too, and not to {change.target.kernel_type}"
    elif changes_base(situation, staged) and any(assembly.rebase is not None for assembly in _assemblies(change)):
        conflict = "which brings another OS, and not the one of the config"
    else:
        return None
    return Failure(
        Code.STAGED_BY_ANOTHER,
        f"another client staged {staged.id}, {conflict}",
        "it is left alone; `rpm-ostree cleanup -p` drops it, a reboot applies it, then we go on",
    )


def _assemblies(change: Change) -> list[Assembly]:
    return [step for step in change.steps if isinstance(step, Assembly)]


_BEFORE_PLANNING: tuple[Callable[[Situation], Failure | None], ...] = (
    _find_foreign_lock,
    _find_override,
    _compare_fips,
)
_OF_A_CHANGE: tuple[Callable[[Situation, Change], Failure | None], ...] = (
    _find_locked_layering,
    _find_conflict,
)
