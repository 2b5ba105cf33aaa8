"""``mcd-rt plan``: what would happen, and why. Read-only."""

import argparse
import asyncio
import json
from dataclasses import dataclass, field
from typing import assert_never

from mcd_rt.agent import plan_step
from mcd_rt.cli.context import make_context
from mcd_rt.content.cache import load
from mcd_rt.errors import Failure
from mcd_rt.model.content import Content
from mcd_rt.model.plan import (
    Change,
    Discard,
    Held,
    Ignored,
    NeedsBase,
    NeedsContent,
    Plan,
    Reboot,
    Refused,
    Steady,
    Waiting,
)
from mcd_rt.observation import Context, observe
from mcd_rt.plan.outcome import Settled

SOMETHING_TO_DO = 2


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan in words: one line each; ``transactions`` and ``reboots`` are how many it takes from here."""

    kind: str
    lines: tuple[str, ...]
    to_do: bool = False
    failure: Failure | None = None
    transactions: int = 0
    reboots: int = 0
    changes: dict[str, tuple[str, ...]] = field(default_factory=dict)


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
    explanation = asyncio.run(_explain(make_context(silent=True)))
    if arguments.json:
        print(json.dumps(_document(explanation)))
    else:
        print("\n".join(explanation.lines))
        if explanation.failure is not None and explanation.failure.hint:
            print(f"  {explanation.failure.hint}")
    return SOMETHING_TO_DO if explanation.to_do else 0


async def _explain(context: Context) -> Explanation:
    observed = await observe(context)
    if isinstance(observed, Settled):
        return Explanation(observed.state.value, (f"{observed.state}: {observed.summary}",), failure=observed.failure)
    attempt = observed.record.attempt
    if attempt is not None and attempt.boot_id != observed.host.boot_id:
        line = f"first: check what became of the switch to {attempt.target.kernel_type} in this boot"
        return Explanation("verify", (line,), to_do=True)

    async def bring(need: NeedsContent) -> Content | None:
        return load(context.paths, need.image.digest, need.names, context.settings.content.trust)

    return explain(await plan_step(context, observed, bring))


def explain(plan: Plan) -> Explanation:
    """A plan in words."""
    match plan:
        case Steady(summary):
            return Explanation("steady", (f"nothing to do: {summary}",))
        case Waiting(reason) | Ignored(reason) | Refused(reason) | Held(reason):
            kind = type(plan).__name__.lower()
            return Explanation(kind, (f"nothing is done: {reason.code}: {reason.message}",), failure=reason)
        case NeedsContent(image, names):
            line = f"fetch {', '.join(names)} (as far as they are there) from {image}, then decide"
            return Explanation("fetch", (line,), to_do=True)
        case NeedsBase(checksum):
            return Explanation("observe", (f"look at the packages of {checksum}, then decide",), to_do=True)
        case Change():
            return _change(plan)
        case Reboot(deployment_id, target=target):
            line = f"reboot into {deployment_id}, which is staged and has {target.kernel_type}"
            return Explanation("reboot", (line,), to_do=True, transactions=1, reboots=1)
        case Discard(deployment_id, why):
            return Explanation("discard", (f"drop {deployment_id}: {why}",), to_do=True, transactions=1)
        case _:
            assert_never(plan)


def _change(plan: Change) -> Explanation:
    changes = {
        "install": tuple(str(package.nevra) for package in plan.assembly.install),
        "uninstall": plan.assembly.uninstall,
        "remove from the base": plan.assembly.remove,
        "restore in the base": plan.assembly.reset,
        "keep as it is": plan.kept,
    }
    lines = [f"switch to {plan.target.kernel_type}: one assembly, one reboot"]
    lines += [f"  {what}: {', '.join(names)}" for what, names in changes.items() if names]
    if plan.on_staged:
        lines.append(f"  built upon {plan.merge_id}, which another client has staged")
    return Explanation("change", tuple(lines), to_do=True, transactions=2, reboots=1, changes=changes)


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
        "changes": {key.partition(" ")[0]: list(names) for key, names in explanation.changes.items()},
    }
