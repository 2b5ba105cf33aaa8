"""The hooks of an occasion, with the facts of the node, told as they run."""

from mcd_rt.errors import AgentError
from mcd_rt.hooks.protocol import Facts, Occasion
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.plan import Target
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.situation import Situation
from mcd_rt.report.labels import HookOccasion


def facts_of(situation: Situation, target: Target | None, reason: str) -> Facts:
    """What hooks are told; a ``target`` of ``None`` is one nobody remembers."""
    return Facts(
        target=target.identity if target is not None else "",
        kernel_type=(target.kernel_type if target is not None else situation.desired.kernel_type).value,
        running=situation.host.kernel_release,
        deployment=situation.deployments.merge.id,
        config=situation.desired.name,
        reason=reason,
    )


async def run_occasion(context: Context, occasion: Occasion, facts: Facts, state: State) -> None:
    """Run them to their end, in a state; raises ``AgentError`` (``hook-*``)."""
    from mcd_rt.hooks.ask import HookAccess, run_hooks  # noqa: PLC0415 - an idle agent runs none

    def show(hook: str) -> None:
        until = context.effects.now() + context.settings.hooks.timeout
        awaiting = Awaiting(Gate.HOOK, hook)
        context.reporter.enter(state, f"the {occasion} hook {hook} runs", next_attempt=until, awaiting=awaiting)

    access = HookAccess(context.effects, context.paths, context.settings.hooks, show)
    begun = context.effects.monotonic()
    failure = await run_hooks(access, occasion, facts)
    seconds = context.effects.monotonic() - begun
    context.reporter.metrics.count_hooks(HookOccasion(occasion.value), seconds, ok=failure is None)
    if failure is not None:
        raise AgentError(failure.code, failure.message, failure.hint)
