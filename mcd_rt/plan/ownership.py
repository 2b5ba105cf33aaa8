"""Whose work a staged deployment is: ours, another client's, or ours upon another client's (promise 5)."""

from mcd_rt.model.deployment import Deployment
from mcd_rt.model.plan import ArgumentsChange, Change, OwnArguments
from mcd_rt.model.record import Phase
from mcd_rt.plan.kernelargs import ours_among
from mcd_rt.plan.layering import apart_from_kernel, kernel_part, shape_of
from mcd_rt.plan.situation import Situation
from mcd_rt.plan.verification import has_target


def is_ours(situation: Situation, staged: Deployment) -> bool:
    """Whether a staged deployment is our work: by the record, or by what it is.

    The second is for a record that was lost or never completed. A *locked* deployment that has the target
    begun in this boot is ours, and what else is in it is another client's; and so is one that differs from
    the booted one by a kernel swap only, which no other client is known to stage locked, or by kernel arguments
    only, where a change of ours was begun in this boot. Where we lock none, only the target tells.
    """
    attempt, booted = situation.record.attempt, situation.deployments.booted
    if attempt is not None and attempt.deployment_id == staged.id:
        return attempt.boot_id == situation.host.boot_id
    if booted is None or not (staged.locked or is_left_to_others(situation)):
        return False  # another client's
    begun = attempt is not None and attempt.boot_id == situation.host.boot_id
    if attempt is not None and begun and has_target(staged, attempt.target):
        return True
    if not staged.locked:
        return False
    same = apart_from_kernel(staged) == apart_from_kernel(booted)
    return same and (shape_of(staged) != shape_of(booted) or (begun and situation.deployments.kernel_arguments != ()))


def is_left_to_others(situation: Situation) -> bool:
    """Whether others reboot the node into what we stage, so that it must not be locked."""
    return situation.settings.reboot.strategy == "sentinel"


def is_on_staged(situation: Situation, staged: Deployment) -> bool:
    """Whether there is another client's work in what we staged, so that it must not be dropped."""
    attempt, booted = situation.record.attempt, situation.deployments.booted
    if attempt is not None and (attempt.on_staged or attempt.deployment_id == staged.id):
        return attempt.on_staged
    if attempt is not None and attempt.deployment_id and attempt.phase is not Phase.STAGING:
        return True  # somebody has staged upon what we had staged
    return booted is not None and apart_from_kernel(staged) != apart_from_kernel(booted)


def is_on_the_way(situation: Situation, staged: Deployment, change: Change) -> bool:
    """Whether what we staged is a finished step of this very change, to be built upon rather than dropped.

    Where the kernel is still to be swapped, that is only so while nothing of it has been.
    """
    attempt, booted = situation.record.attempt, situation.deployments.booted
    if attempt is None or (attempt.deployment_id, attempt.phase) != (staged.id, Phase.STAGED):
        return False
    untouched = booted is not None and shape_of(staged) == shape_of(booted)
    return attempt.target.identity == change.target.identity and (
        isinstance(change.steps[0], ArgumentsChange) or untouched
    )


def is_unplanned(situation: Situation, staged: Deployment) -> bool:
    """Whether what we staged was not made as planned, and we were ended before it was dropped.

    What a plan knows of it may fit all the same: a goal names the kernel, not everything else that is there. One that
    only lost its lock is whole.
    """
    attempt = situation.record.attempt
    begun = attempt is not None and (attempt.deployment_id, attempt.phase) == (staged.id, Phase.STAGING)
    return begun and (staged.locked or is_left_to_others(situation))


def own_arguments(situation: Situation) -> OwnArguments:
    """Which kernel arguments of the merge deployment we put there.

    Where a step was begun and its end is not known, or somebody built upon it, it may have those from before as well
    as those after it.
    """
    attempt, merge, before = situation.record.attempt, situation.deployments.merge, situation.record.kernel_arguments
    if attempt is None or not merge.staged or not is_ours(situation, merge):
        return OwnArguments(before)
    if attempt.deployment_id == merge.id and attempt.phase is not Phase.STAGING:
        return attempt.arguments
    ours = ours_among(situation.deployments.kernel_arguments, attempt.arguments.ours, before)
    return OwnArguments(ours, attempt.arguments.gone)


def changes_own_arguments(situation: Situation) -> bool:
    """Whether other kernel arguments would be ours with the merge deployment than are now."""
    return own_arguments(situation).ours != situation.record.kernel_arguments


def changes_base(situation: Situation, staged: Deployment) -> bool:
    """Whether another client's staged deployment has another base than the booted one."""
    booted = situation.deployments.booted
    return booted is not None and staged.base != booted.base


def changes_kernel(situation: Situation, staged: Deployment) -> bool:
    """Whether another client's staged deployment has another kernel than the booted one, base aside."""
    booted = situation.deployments.booted
    return booted is not None and kernel_part(staged) != kernel_part(booted)
