"""Did it come up? Success is the running kernel, seen after the boot (promise 8)."""

from dataclasses import dataclass

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt, Phase
from mcd_rt.plan.layering import is_swapped, kernel_packages


@dataclass(frozen=True, slots=True)
class CameUp:
    """The target runs."""

    target: Target


@dataclass(frozen=True, slots=True)
class DidNotComeUp:
    """A reboot of ours was asked for and something else runs; counted against the target."""

    reason: Failure


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The node was rebooted before ours was asked for: a locked deployment is dropped then, as it must be."""


Verdict = CameUp | DidNotComeUp | Overtaken


def judge_boot(attempt: Attempt, deployments: Deployments, host: Host) -> Verdict:
    """What became of an attempt of an earlier boot."""
    booted = deployments.booted
    if booted is not None and has_target(booted, attempt.target):
        failure = judge_running(attempt.target, host)
        return CameUp(attempt.target) if failure is None else DidNotComeUp(failure)
    if attempt.phase is not Phase.REBOOTING:
        return Overtaken()
    runs = booted.id if booted is not None else "no deployment"
    if any(deployment.id == attempt.deployment_id for deployment in deployments.all):
        reason = f"{attempt.target.kernel_type} was written to the boot loader, but {runs} was booted"
        return DidNotComeUp(Failure(Code.ROLLED_BACK, reason, "a person chose it, or the target did not boot"))
    reason = f"the staged {attempt.target.kernel_type} deployment was not finalized; {runs} was booted"
    hint = "`journalctl -b -1 -u ostree-finalize-staged` tells why; a full /boot is the common cause"
    return DidNotComeUp(Failure(Code.NOT_FINALIZED, reason, hint))


def judge_running(target: Target, host: Host) -> Failure | None:
    """Whether the running kernel is a target's; ``None`` when it is."""
    expected = target.kernel_release
    if expected and host.kernel_release != expected:
        reason = f"the running kernel is {host.kernel_release}, {target.kernel_type} is {expected}"
    elif host.realtime != (target.kernel_type is KernelType.REALTIME):
        kind = "real-time" if host.realtime else "not real-time"
        reason = f"{target.kernel_type} must run, but the running kernel {host.kernel_release} is {kind}"
    else:
        return None
    hint = "`mcd-rt plan` tells whether a change is due; if not, look at the boot loader entries and for a kexec"
    return Failure(Code.VERIFICATION_FAILED, reason, hint)


def has_target(deployment: Deployment, target: Target) -> bool:
    """Whether a deployment has the target's base and kernel packages, whatever else is layered on it."""
    wanted = set(target.packages) if target.image_digest else set()
    return (
        deployment.base_checksum == target.base_checksum
        and set(kernel_packages(deployment)) == wanted
        and is_swapped(deployment) == bool(wanted)
    )
