"""Did it come up? Success is the running kernel, seen after the boot (promise 8)."""

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.evidence import Evidence
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt, Record
from mcd_rt.plan.evidence import NOTHING, explain_other_boot
from mcd_rt.plan.kernelargs import are_gone, missing_arguments, ours_among
from mcd_rt.plan.layering import is_swapped, kernel_packages

_CMDLINE = "/proc/cmdline"


@frozen
class CameUp:
    """The target runs."""

    target: Target


@frozen
class DidNotComeUp:
    """A reboot of ours was asked for and something else runs; counted against the target."""

    reason: Failure


@frozen
class Overtaken:
    """The node was rebooted before ours was asked for: a locked deployment is dropped then, as it must be."""


Verdict = CameUp | DidNotComeUp | Overtaken


def judge_boot(attempt: Attempt, deployments: Deployments, host: Host, evidence: Evidence = NOTHING) -> Verdict:
    """What became of an attempt of an earlier boot; ``evidence`` tells why, where it did not come up."""
    booted = deployments.booted
    if booted is not None and _has_come_up(booted, attempt, host):
        failure = judge_running(attempt.target, host)
        return CameUp(attempt.target) if failure is None else DidNotComeUp(failure)
    if not attempt.is_counted:
        return Overtaken()
    return DidNotComeUp(explain_other_boot(attempt, deployments, evidence))


def _has_come_up(booted: Deployment, attempt: Attempt, host: Host) -> bool:
    """Whether the very deployment booted that was staged, or one made from it.

    A change of kernel arguments alone leaves base and packages as they were: then only the arguments tell.
    """
    if booted.id == attempt.deployment_id:
        return True
    if not has_target(booted, attempt.target):
        return False
    running = host.kernel_arguments
    return not missing_arguments(attempt.target.kernel_arguments, running) and are_gone(attempt.arguments.gone, running)


def arguments_of_boot(record: Record, attempt: Attempt, deployments: Deployments, host: Host) -> tuple[str, ...]:
    """Which kernel arguments are ours after a boot: those of the attempt where it booted, or those from before it."""
    booted = deployments.booted
    came_up = booted is not None and _has_come_up(booted, attempt, host)
    ours = attempt.arguments.ours if came_up else record.kernel_arguments
    return ours_among(deployments.kernel_arguments, ours)


def judge_running(target: Target, host: Host) -> Failure | None:
    """Whether the running kernel is a target's; ``None`` when it is."""
    expected = target.kernel_release
    if expected and host.kernel_release != expected:
        reason = f"the running kernel is {host.kernel_release}, {target.kernel_type} is {expected}"
    elif host.realtime != (target.kernel_type is KernelType.REALTIME):
        kind = "real-time" if host.realtime else "not real-time"
        reason = f"{target.kernel_type} must run, but the running kernel {host.kernel_release} is {kind}"
    elif missing := missing_arguments(target.kernel_arguments, host.kernel_arguments):
        reason = f"the running kernel was not given {' '.join(missing)} ({_CMDLINE})"
    else:
        return None
    hint = "`mcd-rt plan` tells whether a change is due; if not, look at the boot loader entries and for a kexec"
    return Failure(Code.VERIFICATION_FAILED, reason, hint)


def has_target(deployment: Deployment, target: Target) -> bool:
    """Whether a deployment has the target's base and kernel packages, whatever else is layered on it."""
    wanted = set(target.packages) if target.image_digest else set()
    return (
        deployment.stands_on(target.base)
        and set(kernel_packages(deployment)) == wanted
        and is_swapped(deployment) == bool(wanted)
    )
