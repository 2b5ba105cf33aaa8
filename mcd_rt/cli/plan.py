"""``mcd-rt plan``: what would happen, and why. Read-only."""

import argparse
import asyncio
import json
from dataclasses import field
from typing import assert_never

from mcd_rt.agent import plan_step
from mcd_rt.cli.context import make_context
from mcd_rt.errors import Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.plan import (
    ArgumentsChange,
    Assembly,
    Change,
    Discard,
    Held,
    Ignored,
    Needs,
    NeedsBase,
    NeedsContent,
    NeedsDigest,
    NeedsOs,
    Plan,
    Reboot,
    Refused,
    Steady,
    Step,
    Waiting,
)
from mcd_rt.observation import Context, observe
from mcd_rt.plan.brake import judge_brake
from mcd_rt.plan.outcome import Settled
from mcd_rt.plan.revert import NOT_UNDONE, is_way_back
from mcd_rt.plan.rollback import see_rollback
from mcd_rt.remembering import is_counted
from mcd_rt.supply import recall

SOMETHING_TO_DO = 2


@frozen
class Explanation:
    """A plan in words: one line each; ``transactions`` and ``reboots`` are how many it takes from here."""

    kind: str
    lines: tuple[str, ...]
    to_do: bool = False
    failure: Failure | None = None
    transactions: int = 0
    reboots: int = 0
    changes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    not_undone: str = ""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "plan",
        help="say what would happen, and why; changes nothing",
        description="Reads the config and the machine and prints the plan in words. Fetches nothing: where the "
        "packages of the image are not in the cache yet, it says so. Exit code 0: nothing to do; 2: "
        "something to do.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    explanation = asyncio.run(explain_node(make_context(silent=True)))
    if arguments.json:
        print(json.dumps(_document(explanation)))
    else:
        print("\n".join(explanation.lines))
        if explanation.failure is not None and explanation.failure.hint:
            print(f"  {explanation.failure.hint}")
    return SOMETHING_TO_DO if explanation.to_do else 0


async def explain_node(context: Context) -> Explanation:
    """What would happen on this node now; raises ``AgentError`` where it cannot be told."""
    observed = await observe(context)
    if isinstance(observed, Settled):
        return Explanation(observed.state.value, (f"{observed.state}: {observed.summary}",), failure=observed.failure)
    attempt = observed.record.attempt
    if attempt is not None and attempt.boot_id != observed.host.boot_id:
        line = f"first: check what became of the switch to {attempt.target.kernel_type} in this boot"
        return Explanation("verify", (line,), to_do=True)

    plan, situation = await plan_step(context, observed, recall)
    if isinstance(plan, Change | Reboot):
        record = see_rollback(situation.record, situation.deployments, plan.target)
        held = judge_brake(record, plan.target, context.settings.reboot, context.effects.now())
        if held is not None and not is_counted(record, plan):
            return explain(held)
    return explain(plan)


def explain(plan: Plan) -> Explanation:
    """A plan in words."""
    match plan:
        case Steady(summary):
            return Explanation("steady", (f"nothing to do: {summary}",))
        case Waiting(reason) | Ignored(reason) | Refused(reason) | Held(reason):
            kind = type(plan).__name__.lower()
            return Explanation(kind, (f"nothing is done: {reason.code}: {reason.message}",), failure=reason)
        case NeedsBase() | NeedsContent() | NeedsDigest() | NeedsOs():
            kind = "observe" if isinstance(plan, NeedsBase) else "fetch"
            return Explanation(kind, (f"{_asked(plan)}, then decide",), to_do=True)
        case Change():
            return _change(plan)
        case Reboot(deployment_id, target=target):
            line = f"reboot into {deployment_id}, which is staged and has {target.kernel_type}"
            return Explanation("reboot", (line,), to_do=True, transactions=1, reboots=1)
        case Discard(deployment_id, why):
            return Explanation("discard", (f"drop {deployment_id}: {why}",), to_do=True, transactions=1)
        case _:
            assert_never(plan)


def _asked(need: Needs) -> str:
    match need:
        case NeedsBase(checksum):
            return f"look at the packages of {checksum}"
        case NeedsContent(image, names):
            return f"fetch {', '.join(names)} (as far as they are there) from {image}"
        case NeedsDigest(image):
            return f"ask which image {image} is, and keep to that"
        case NeedsOs(image, names):
            brought = ["its repository where it has one", *names]
            return f"look which OS {image} is, and fetch {', '.join(brought)} (as far as they are there)"
        case _:
            assert_never(need)


def _change(plan: Change) -> Explanation:
    changes: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        changes |= _changes(step)
    changes["keep as it is"] = plan.kept
    swaps = sum(isinstance(step, Assembly) for step in plan.steps)
    edits = len(plan.steps) - swaps
    shape = plan.shape  # in both orders the one that the arguments are changed on
    again = edits > 0 and bool(shape.local or shape.requested or shape.removals or shape.replacements)
    parts = [("one assembly", "two assemblies")[swaps + again - 1]] if swaps or again else []
    parts += ["one change of kernel arguments"] if edits else []
    lines = [f"switch to {plan.target.kernel_type}: {', '.join(parts)}, one reboot"]
    lines += [f"  {what}: {', '.join(names)}" for what, names in changes.items() if names]
    if plan.on_staged:
        lines.append(f"  built upon {plan.merge_id}, which another client has staged")
    if again:
        lines.append("  packages are layered, so that the change of kernel arguments is an assembly of its own")
    if len(plan.steps) > 1:
        lines.append("  nothing of it can be booted before all of it is staged")
    stays = NOT_UNDONE if is_way_back(plan) else ""
    lines += _left_behind(stays)
    return Explanation(
        "change",
        tuple(lines),
        to_do=True,
        transactions=len(plan.steps) + 1,
        reboots=1,
        changes=changes,
        not_undone=stays,
    )


def _left_behind(stays: str) -> list[str]:
    kept = "  the deployment with the other kernel is kept to roll back to"
    return [f"  not undone: {stays}", kept] if stays else []


def _changes(step: Step) -> dict[str, tuple[str, ...]]:
    match step:
        case Assembly(rebase=rebase):
            return {
                "bring the OS": (f"{rebase.image} (as {rebase.refspec})",) if rebase is not None else (),
                "install": tuple(str(package.nevra) for package in step.install),
                "uninstall": step.uninstall,
                "remove from the base": step.remove,
                "restore in the base": step.reset,
            }
        case ArgumentsChange(add=add, remove=remove):
            return {"add kernel arguments": add, "take back kernel arguments": remove}
        case _:
            assert_never(step)


def _document(explanation: Explanation) -> dict[str, object]:
    failure = explanation.failure
    return {
        "plan": explanation.kind,
        "to_do": explanation.to_do,
        "text": "\n".join(explanation.lines),
        "code": failure.code.value if failure else None,
        "message": failure.message if failure else None,
        "hint": failure.hint if failure else None,
        "transactions": explanation.transactions,
        "reboots": explanation.reboots,
        "not_undone": explanation.not_undone,
        "changes": {_key(words): list(names) for words, names in explanation.changes.items()},
    }


def _key(words: str) -> str:
    """``install`` ... ``keep`` for packages, ``add_arguments`` and ``take_arguments`` for what has the same verbs."""
    verb, _, rest = words.partition(" ")
    return f"{verb}_arguments" if rest.endswith("arguments") else verb
