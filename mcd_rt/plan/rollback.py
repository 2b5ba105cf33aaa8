"""Going back from what had come up: somebody's decision, which is not fought, and not a gap to be closed."""

from dataclasses import replace

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Record, Verified
from mcd_rt.plan.evidence import NOT_AGAIN
from mcd_rt.plan.verification import has_target


def see_verified(target: Target, started: float, now: float, deployments: Deployments) -> Verified:
    """A target that came up, and what one can go back to from it."""
    beside = tuple(one.id for one in deployments.all if not one.booted and not one.staged)
    return Verified(target, started, now, beside)


def see_rollback(record: Record, deployments: Deployments, target: Target) -> Record:
    """The record once somebody went back from a target that had come up; it is wanted, and something else comes first.

    He did where a deployment runs or comes first that was there beside it, and it is there still. One that was made
    later is somebody's work, and a target that is gone was not turned away from: both are gaps to be closed.
    """
    verified = record.verified
    if verified is None or verified.target.identity != target.identity or record.given_up == target.identity:
        return record
    taken = next((one for one in _boots(deployments) if one.id in verified.beside), None)
    others = (one for one in deployments.all if not one.staged and one.id not in verified.beside)
    if taken is None or not any(has_target(one, target) for one in others):
        return record
    reason = (
        f"the {target.kernel_type} deployment came up and was verified, but then {taken.id} was put first or booted"
        " instead, as by `rpm-ostree rollback` or a health check"
    )
    return replace(record, failure=Failure(Code.ROLLED_BACK, reason, NOT_AGAIN), given_up=target.identity)


def _boots(deployments: Deployments) -> list[Deployment]:
    """What boots next if nothing is finalized, and what runs: two where the order was turned in this boot."""
    written = [one for one in deployments.all if not one.staged]
    return [*written[:1], *(one for one in written if one.booted)]
