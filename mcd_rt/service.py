"""The loop around the pass: runs one whenever something changed, or a delay is over.

It waits on events *or* a delay, never polls: files by inotify, the control socket, its own timer while
something is pending.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import assert_never

from mcd_rt.agent import Context, allow_retry, run_pass
from mcd_rt.control import Reply, Verb, serve_control
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.lock import only_agent
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Retry, Settled, retry_delay, state_of
from mcd_rt.report.notify import notify
from mcd_rt.watch import ANY, Watch

_SETTLE_LIMIT = 10
"""How many settle times a restless writer is waited for."""

_BEGUN_ANEW = (State.FETCHING, State.WAITING)
"""States in which a pass can take long and has not changed anything yet."""


class Service:
    """``mcd-rt run``: passes until it is stopped."""

    def __init__(self, context: Context) -> None:
        """Take what the passes work with."""
        self._context = context
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._retries: list[asyncio.Future[Failure | None]] = []
        self._asked: list[asyncio.Future[Failure | None]] = []
        self._due: list[asyncio.Future[Failure | None]] = []
        self._failures = 0

    async def run(self) -> None:
        """Run until cancelled; raises ``AgentError`` where the service cannot be set up at all."""
        context = self._context
        with only_agent(context.effects, context.paths):
            watch = Watch(self._watched_files(), self._notice)
            try:
                async with serve_control(context.effects, context.paths.control, self._answer):
                    notify("READY=1")
                    try:
                        while True:
                            await self._step()
                    finally:
                        await self._answer_before_the_end()
            finally:
                watch.close()
                notify("STOPPING=1")

    async def _step(self) -> None:
        self._wake.clear()
        self._changed.clear()
        self._release_brake()
        self._due += self._asked
        self._asked = []
        outcome = await self._pass()
        match outcome:
            case None | Progressed():
                return
            case Settled(until=until):
                self._failures = 0
                self._report(outcome, outcome.summary, outcome.failure, until)
                await self._wait(None if until is None else max(0.0, until - self._context.effects.now()))
            case Retry(failure):
                await self._retry(outcome, failure)
            case GoingDown(summary):
                self._report(outcome, summary)
                await self._wait_for_the_end()
            case _:
                assert_never(outcome)

    async def _pass(self) -> Outcome | None:
        """Run a pass; ``None`` if something changed under one that only fetches or waits, which begins anew."""
        running = asyncio.ensure_future(run_pass(self._context))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            while not running.done():
                await asyncio.wait((running, changed), return_when=asyncio.FIRST_COMPLETED)
                if changed.done() and self._context.reporter.status.state in _BEGUN_ANEW:
                    return None
                if changed.done():
                    await asyncio.wait((running,))
            return running.result()
        finally:
            changed.cancel()
            running.cancel()
            await asyncio.gather(running, changed, return_exceptions=True)

    async def _retry(self, outcome: Retry, failure: Failure) -> None:
        settings, effects = self._context.settings.retry, self._context.effects
        self._failures += 1
        delay = retry_delay(self._failures, settings.initial, settings.ceiling, effects.chance())
        self._report(outcome, failure.message, failure, effects.now() + delay)
        await self._wait(delay)

    async def _wait_for_the_end(self) -> None:
        """The shutdown stops this process; if it does not come, say so and look again."""
        patience = self._context.settings.reboot.stuck_after
        await asyncio.sleep(patience)
        failure = Failure(
            Code.REBOOT_STUCK,
            f"the node is still up {patience:g} s after the reboot was asked for",
            "`systemctl list-jobs` and `journalctl -b` tell what holds it",
        )
        await self._retry(Retry(failure), failure)

    async def _wait(self, delay: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
            await self._settle()

    def _notice(self) -> None:
        self._changed.set()
        self._wake.set()

    async def _settle(self) -> None:
        """Let a writer finish: look once nothing has changed for the settle time."""
        settle = self._context.settings.node_config.settle
        for _ in range(_SETTLE_LIMIT if self._changed.is_set() else 0):
            self._changed.clear()
            try:
                async with asyncio.timeout(settle):
                    await self._changed.wait()
            except TimeoutError:
                return

    def _report(
        self,
        outcome: Settled | Retry | GoingDown,
        summary: str,
        failure: Failure | None = None,
        at: float | None = None,
    ) -> None:
        self._context.reporter.enter(state_of(outcome), summary, failure, at)
        self._release()

    def _release(self) -> None:
        _resolve(self._due, None)
        self._due = []

    def _release_brake(self) -> None:
        """Only between passes: a pass writes the record as it read it."""
        retries, self._retries = self._retries, []
        if not retries:
            return
        try:
            allow_retry(self._context)
        except AgentError as error:
            _resolve(retries, error.failure)
        else:
            self._asked += retries

    async def _answer_before_the_end(self) -> None:
        """A reboot that somebody asked for often stops us before its pass is over: it is their answer."""
        if self._context.reporter.status.state is State.REBOOTING:
            self._due += self._asked
            self._release()
            await asyncio.sleep(0)  # the turn of the loop in which the answers are written

    async def _answer(self, verb: Verb) -> Reply:
        waiting: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        (self._retries if verb is Verb.RETRY else self._asked).append(waiting)  # for a pass that begins after this
        self._wake.set()
        refused = await waiting
        if refused is not None:
            return Reply(ok=False, text=str(refused))
        status = self._context.reporter.status
        return Reply(ok=status.state not in (State.BLOCKED, State.RETRYING, State.HELD), text=self._sentence())

    def _sentence(self) -> str:
        status = self._context.reporter.status
        return f"{status.state}: {status.failure or status.summary}"

    def _watched_files(self) -> list[Path]:
        paths = self._context.paths
        node_config = self._context.settings.node_config
        sources = [paths.below(source) for source in node_config.sources]
        added = [paths.below(directory) / ANY for directory in node_config.directories]
        return [*sources, *added, paths.below("/run/ostree/staged-deployment"), paths.below("/ostree/deploy")]


def _resolve(waiting: list[asyncio.Future[Failure | None]], result: Failure | None) -> None:
    for future in waiting:
        if not future.done():  # whoever asked may have gone
            future.set_result(result)
