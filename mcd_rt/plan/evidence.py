"""Why a target did not come up: what tells one cause from another, and what cannot be told apart says so."""

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.evidence import Evidence
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt

NOT_AGAIN = "it is not staged again by itself: find out whether it boots, then `mcd-rt retry`"
"""The way out where somebody, or the boot loader, turned away from a target."""

_ENDED = "find out what ended that boot: `journalctl -b -1 -e`; the brake says whether it is tried again"
_JOURNAL = "`journalctl -b -1 -u ostree-finalize-staged` has all of it"
_NO_ROOM = "No space left on device"
_BEGUN = ("Finalizing staged deployment", "Stopping ")
"""What ostree says first, and systemd just before."""


NOTHING = Evidence()


def explain_other_boot(attempt: Attempt, deployments: Deployments, evidence: Evidence) -> Failure:
    """Why something else runs than what a reboot of ours was to bring."""
    runs = _runs(deployments)
    what = f"the {attempt.target.kernel_type} deployment"
    if any(deployment.id == attempt.deployment_id for deployment in deployments.all):
        return _explain_fallback(
            attempt, deployments, f"{what} was written to the boot loader, but {runs} was booted", evidence
        )
    missing = f"the staged {what.removeprefix('the ')} was not finalized; {runs} was booted"
    return _explain_finalizer(missing, evidence.finalizer)


def explain_ran_before(target: Target, deployments: Deployments) -> Failure:
    """Why something else runs than what came up in an earlier boot and still comes first."""
    what = f"the {target.kernel_type} deployment {deployments.merge.id} comes first and ran before"
    cause = "a person chose so in the boot menu, the boot loader fell back, or the boot order was turned since"
    reason = f"{what}, but {_runs(deployments)} was booted: {cause}, which cannot be told apart"
    hint = "a reboot brings it (`systemctl reboot`); or ask in the config for what runs"
    return Failure(Code.BOOTED_ANOTHER, reason, hint)


def is_fallback(failure: Failure) -> bool:
    """Whether somebody, or the boot loader, turned away from a target that was there to be booted."""
    return failure.code in (Code.ROLLED_BACK, Code.BOOTED_ANOTHER)


def _runs(deployments: Deployments) -> str:
    return deployments.booted.id if deployments.booted is not None else "no deployment"


def _explain_fallback(attempt: Attempt, deployments: Deployments, what: str, evidence: Evidence) -> Failure:
    if evidence.boot_counted:
        return Failure(Code.ROLLED_BACK, f"{what}: boot counting gave up on it", NOT_AGAIN)
    if deployments.merge.id != attempt.deployment_id:
        return Failure(Code.ROLLED_BACK, f"{what}: the boot order was turned, as `rpm-ostree rollback` does", NOT_AGAIN)
    cause = "a person chose it in the boot menu or the boot loader fell back, which cannot be told apart"
    return Failure(Code.BOOTED_ANOTHER, f"{what}: {cause}", NOT_AGAIN)


def _explain_finalizer(what: str, log: tuple[str, ...] | None) -> Failure:
    if log is None:
        return Failure(
            Code.NOT_FINALIZED, f"{what}; no journal of the previous boot tells why", "keep one in /var/log/journal"
        )
    error = next((line for line in reversed(log) if line.startswith("error:")), "")
    if _NO_ROOM in error:
        hint = f"make room in /boot (`rpm-ostree cleanup -r` drops the rollback); {_JOURNAL}"
        return Failure(Code.BOOT_SPACE, f"{what}: {error}", hint)
    if error:
        return Failure(Code.NOT_FINALIZED, f"{what}: {error}", _JOURNAL)
    if any("Failed with result" in line for line in log):
        last = next(line for line in reversed(log) if "Failed with result" in line)
        return Failure(Code.NOT_FINALIZED, f"{what}: {last}", _JOURNAL)
    if any(line.startswith(_BEGUN) for line in log):
        return Failure(
            Code.NOT_FINALIZED, f"{what}: it was begun and not ended, a power cut or a kill at shutdown", _JOURNAL
        )
    if not log:
        cause = (
            "that service said nothing: it was not running yet, or there was no shutdown, which cannot be told apart"
        )
        return Failure(Code.NOT_FINALIZED, f"{what}; {cause}", _JOURNAL)
    cause = "the previous boot ended without a shutdown: a power cut, a crash, a forced reboot"
    return Failure(Code.SHUTDOWN_SKIPPED, f"{what}: {cause}", _ENDED)
