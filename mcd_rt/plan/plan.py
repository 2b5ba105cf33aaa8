"""desired × observed × content → plan. Correctness lives in this room: values in, a value out.

Where to stand (``ground``), which packages make the kernel there (``swap``), which arguments (``kernelargs``), in which
order; then whether it has arrived, and whose work is staged already (``ownership``).
"""

from dataclasses import replace

from mcd_rt.model.kernel import KernelType, flavor_of
from mcd_rt.model.plan import (
    ArgumentsChange,
    Assembly,
    Change,
    Discard,
    Ignored,
    OwnArguments,
    Plan,
    Reboot,
    Refused,
    Shape,
    Steady,
    Step,
    Target,
    Waiting,
)
from mcd_rt.plan.evidence import explain_ran_before, is_fallback
from mcd_rt.plan.ground import Ground, find_ground
from mcd_rt.plan.kernelargs import change_arguments, changed_arguments, wanted_arguments
from mcd_rt.plan.layering import (
    foreign_layers,
    is_swapped,
    kernel_removals,
    shape_of,
)
from mcd_rt.plan.management import leave_to
from mcd_rt.plan.ownership import (
    changes_own_arguments,
    is_left_to_others,
    is_on_staged,
    is_on_the_way,
    is_ours,
    is_unplanned,
    own_arguments,
)
from mcd_rt.plan.refusals import refuse_any, refuse_change
from mcd_rt.plan.situation import Situation
from mcd_rt.plan.swap import Goal, aim_at_default, aim_at_flavor
from mcd_rt.plan.verification import judge_running


def make_plan(situation: Situation) -> Plan:
    """The next thing to do, or why nothing is done."""
    refusal = refuse_any(situation)
    if refusal is not None:
        return Refused(refusal)
    plan = _checked(situation, _aim(situation))
    staged = situation.deployments.staged
    if staged is None or not is_ours(situation, staged) or is_on_staged(situation, staged):
        return plan
    if isinstance(plan, Change) and is_on_the_way(situation, staged, plan):
        return plan
    if is_unplanned(situation, staged):
        return Discard(staged.id, "what was staged is not what was planned")
    if not situation.settings.kernel_arguments.manage and changes_own_arguments(situation):
        return Discard(staged.id, "it changes kernel arguments, which are left to others now")
    match plan:
        case Change() | Waiting() | Ignored() | Refused():
            return Discard(staged.id, "what was staged is not what is wanted now")
        case _:
            return plan


def _checked(situation: Situation, plan: Plan) -> Plan:
    if not isinstance(plan, Change):
        return plan
    if situation.neighbour is not None:
        reason = leave_to(situation.neighbour, plan, situation.deployments.merge)
        if reason is not None:
            return Waiting(reason)
    refusal = refuse_change(situation, plan)
    return plan if refusal is None else Refused(refusal)


def _aim(situation: Situation) -> Plan:
    ground = find_ground(situation)
    if not isinstance(ground, Ground):
        return ground
    flavor = flavor_of(situation.desired.kernel_type)
    goal = aim_at_default(situation, ground) if flavor is None else aim_at_flavor(situation, ground, flavor)
    if not isinstance(goal, Goal):
        return goal
    wanted = wanted_arguments(situation.desired, situation.settings, situation.neighbour)
    current = situation.deployments.kernel_arguments
    own, arguments = own_arguments(situation), None
    if situation.settings.kernel_arguments.manage:  # else those of ours stay as well, and stay known as ours
        arguments, own = change_arguments(current, own, wanted)
    target = replace(goal.target, kernel_arguments=wanted)
    steps = _ordered(goal, arguments)
    return _change(situation, target, steps, own) if steps else _arrived(situation, target, goal.leftover)


def _ordered(goal: Goal, arguments: ArgumentsChange | None) -> tuple[Step, ...]:
    """Arguments on a deployment with other packages than its base's assemble it again, so they come where it has none.

    Before the assembly on the way to another kernel, after it on the way back (design.md, "Locked until it is whole").
    """
    assembly = (goal.assembly,) if goal.assembly != Assembly() else ()
    changes = (arguments,) if arguments is not None else ()
    if changes and goal.leftover != Assembly():
        return (goal.leftover, *changes)
    return (*assembly, *changes) if goal.target.kernel_type is KernelType.DEFAULT else (*changes, *assembly)


def _arrived(situation: Situation, target: Target, leftover: Assembly) -> Plan:
    """The merge deployment is as wanted: it runs, or a boot is missing, ours or somebody else's."""
    merge = situation.deployments.merge
    if merge.booted:
        failure = judge_running(target, situation.host)
        if failure is not None:
            return Refused(failure)
        left = f"; {', '.join(leftover.uninstall)}: the base brings it, ours goes with the next change"
        runs = f"{target.kernel_type} is wanted and runs ({situation.host.kernel_release})"
        return Steady(runs + left if leftover.uninstall else runs, target)
    if merge.staged and is_ours(situation, merge):
        on_staged = is_on_staged(situation, merge)
        if merge.locked and not on_staged and is_left_to_others(situation):
            return Discard(merge.id, "it is locked, and reboot.strategy leaves the reboot to others")
        return Reboot(merge.id, merge.base_checksum, merge.locked, on_staged, target)
    failure = situation.record.failure
    if not merge.staged and failure is not None and is_fallback(failure):
        return Refused(failure)  # not booted into again by itself: a person chose so, or it does not boot
    verified = situation.record.verified
    if not merge.staged and verified is not None and verified.target.identity == target.identity:
        return Refused(explain_ran_before(target, situation.deployments))
    brings = f"{merge.id}, which is not ours, brings" if merge.staged else f"{merge.id} is first to boot and brings"
    return Steady(f"{target.kernel_type} is wanted; {brings} it with the next boot")


def _change(situation: Situation, target: Target, steps: tuple[Step, ...], own: OwnArguments) -> Change:
    merge, first = situation.deployments.merge, steps[0]
    current = situation.deployments.kernel_arguments
    if isinstance(first, Assembly):
        shape = _shape_after(situation, first, target)
        arguments, own = current, own_arguments(situation)
        if first.rebase is not None:
            first = replace(first, rebase=replace(first.rebase, repositories=bool(shape.requested)))
    else:
        shape, arguments = shape_of(merge), changed_arguments(first)
    return Change(
        target=target,
        merge_id=merge.id,
        steps=(replace(first, locked=not is_left_to_others(situation)), *steps[1:]),
        shape=shape,
        kernel_arguments=arguments,
        kept=foreign_layers(merge),
        on_staged=not merge.booted and (not is_ours(situation, merge) or is_on_staged(situation, merge)),
        foreign_removals=(
            situation.record.foreign_removals if is_swapped(merge) else tuple(sorted(kernel_removals(merge)))
        ),
        arguments=own,
    )


def _shape_after(situation: Situation, assembly: Assembly, target: Target) -> Shape:
    merge = situation.deployments.merge
    gone = set(assembly.uninstall)
    local = {nevra for nevra in merge.local if str(nevra) not in gone} | {p.nevra for p in assembly.install}
    return Shape(
        base=target.base,
        local=tuple(sorted(local)),
        requested=tuple(sorted(set(merge.requested) - gone)),
        removals=tuple(sorted(set(merge.removals) - set(assembly.reset) | set(assembly.remove))),
        replacements=merge.replacements,
    )
