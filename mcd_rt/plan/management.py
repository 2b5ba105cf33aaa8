"""Who manages the kernel of this node: we, or the machine-config-daemon (MCD), never both.

The MCD switches the kernel itself when its rendered config asks for another than the default one, and its way back
expects packages of its own making (design.md, "living beside the MCO"). Then it is only looked at.
"""

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployment
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Change, Target
from mcd_rt.model.state import State
from mcd_rt.plan.layering import kernel_requests
from mcd_rt.plan.outcome import Settled
from mcd_rt.plan.situation import Neighbour
from mcd_rt.plan.verification import judge_running

_PAGES_64K = "64k"


def reason_to_observe(manage: str, mcd: str, rendered: KernelType | None) -> str:
    """Why nothing is to be changed here; empty where the kernel is ours to manage.

    ``manage`` is the setting ``agent.manage``, ``mcd`` the file that proves that an MCD manages this node (empty: none
    does), ``rendered`` the kernel type its own config asks for (``None``: it says nothing of it).
    """
    if manage == "observe":
        return "agent.manage is observe"
    if manage == "manage" or not mcd or rendered in (None, KernelType.DEFAULT):
        return ""
    return f"the machine-config-daemon, which {mcd} shows is here, manages it: its own config asks for {rendered}"


def leave_to(neighbour: Neighbour, change: Change, merge: Deployment) -> Failure | None:
    """Why a change waits for the MCD to be done with its own; ``None`` where it does not.

    The MCD reboots into what it staged at once. Built upon that, a locked deployment of ours would take its place,
    and the reboot would drop both. Kernel packages from a repository are the MCD's: its way back takes them out
    itself, and fails where they are gone (``reference/machine-config-daemon.md`` 1.7).
    """
    kernel = change.target.kernel_type
    if change.on_staged:
        reason = f"another client put {merge.id} first; the machine-config-daemon reboots into its work itself"
        return Failure(Code.STAGED_BY_ANOTHER, reason, f"{kernel} follows after that reboot, with one of its own")
    layered = kernel_requests(merge)
    if layered and not neighbour.relieved:
        reason = f"the machine-config-daemon takes out itself what it layered: {', '.join(layered)}"
        return Failure(Code.KERNEL_OVERRIDDEN, reason, 'if it does not, set agent.manage to "manage"')
    return None


def judge_observed(desired: Desired, host: Host, reason: str) -> Settled:
    """What runs against what is wanted, where somebody else brings it about."""
    wanted = desired.kernel_type
    failure = _judge_kernel_type(wanted, host)
    if failure is None:
        runs = f"{wanted} is wanted by {desired.name} and runs ({host.kernel_release})"
        return Settled(State.OBSERVING, f"{runs}; nothing is changed: {reason}")
    hint = (
        "whoever manages the kernel has not switched it (yet): it comes with his reboot, or his own log tells why not"
    )
    said = Failure(Code.VERIFICATION_FAILED, failure.message, hint)
    return Settled(State.OBSERVING, f"{said.message}; nothing is changed: {reason}", said)


def _judge_kernel_type(wanted: KernelType, host: Host) -> Failure | None:
    """What is known of a kernel without knowing which package it came from: EL9 adds ``+64k`` to the release."""
    failure = judge_running(Target(wanted, "", "", (), ""), host)
    is_64k = host.kernel_release.rpartition("+")[2] == _PAGES_64K
    if failure is None and is_64k is not (wanted is KernelType.PAGES_64K):
        reason = f"{wanted} must run, but the running kernel is {host.kernel_release}"
        return Failure(Code.VERIFICATION_FAILED, reason, "look at the boot loader entries, and for a kexec")
    return failure
