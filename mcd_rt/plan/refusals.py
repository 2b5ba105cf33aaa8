"""What keeps this node from being changed at all, whatever is wanted."""

from mcd_rt.errors import Code, Failure
from mcd_rt.model.plan import Assembly, Change
from mcd_rt.plan.layering import overridden_kernels
from mcd_rt.plan.ownership import changes_base, changes_kernel, is_ours
from mcd_rt.plan.situation import Situation


def refuse_any(situation: Situation) -> Failure | None:
    """Before anything is planned: other people's work that must not be touched, a config for another node."""
    staged = situation.deployments.staged
    if staged is not None and staged.locked and not is_ours(situation, staged):
        return Failure(
            Code.STAGED_BY_ANOTHER,
            f"another client staged {staged.id} and locked it",
            "it is left alone; once it is finalized or dropped (`rpm-ostree cleanup -p`) we go on",
        )
    overridden = overridden_kernels(situation.deployments.merge)
    if overridden:
        return Failure(
            Code.KERNEL_OVERRIDDEN,
            f"an administrator replaced the kernel: {', '.join(overridden)}",
            "`rpm-ostree override reset` takes it back; until then the kernel is left alone",
        )
    asked, running = situation.desired.fips, situation.host.fips
    if asked is not None and asked != running:
        return Failure(
            Code.FIPS_MISMATCH,
            f"{situation.desired.name} says fips: {str(asked).lower()}, "
            f"the running kernel is {'' if running else 'not '}in FIPS mode",
            "FIPS mode is chosen when a node is installed: correct the config, or install the node anew",
        )
    return None


def refuse_change(situation: Situation, change: Change) -> Failure | None:
    """Once it is known what would be done: packages that may not be changed, another client's kernel."""
    assemblies = [step for step in change.steps if isinstance(step, Assembly)]
    locked = situation.host.layering_locked
    if locked and any(assembly.layers for assembly in assemblies):
        return Failure(
            Code.LAYERING_LOCKED,
            f"{change.target.kernel_type} needs other packages on this host, and {locked}",
            "put the kernel into the image, or allow layering",
        )
    staged = situation.deployments.staged
    if staged is None or is_ours(situation, staged):
        return None
    if changes_kernel(situation, staged):
        conflict = f"which changes the kernel too, and not to {change.target.kernel_type}"
    elif changes_base(situation, staged) and any(assembly.rebase is not None for assembly in assemblies):
        conflict = "which brings another OS, and not the one of the config"
    else:
        return None
    return Failure(
        Code.STAGED_BY_ANOTHER,
        f"another client staged {staged.id}, {conflict}",
        "it is left alone; `rpm-ostree cleanup -p` drops it, a reboot applies it, then we go on",
    )
