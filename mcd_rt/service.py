"""The loop around the pass: runs one whenever something changed, or a delay is over.

It waits on events *or* a delay, never polls: files by inotify, the control socket, SIGHUP, its own timer while
something is pending.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import assert_never

from mcd_rt.agent import allow_retry, run_pass
from mcd_rt.control import Feed, Reply, Verb, group_id, serve_control, share_socket
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.lock import only_agent
from mcd_rt.memory import memory_returner
from mcd_rt.model.settings import Settings
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Retry, Settled, retry_delay, state_of
from mcd_rt.report.exposition import Exposition, open_exposition
from mcd_rt.report.notify import notify
from mcd_rt.report.status import encode_status
from mcd_rt.report.watchdog import Watchdog
from mcd_rt.settings import load_settings
from mcd_rt.watch import ANY, Watch

LOG = logging.getLogger("mcd_rt")

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
        self._settings_failure: Failure | None = None
        self._reread = False
        self._watch: Watch | None = None
        self._watchdog = Watchdog()
        self._give_memory_back = memory_returner()
        self._feed = Feed(lambda: encode_status(context.reporter.status))
        context.reporter.on_publish = self._feed.publish

    async def run(self) -> None:
        """Run until cancelled; raises ``AgentError`` where the service cannot be set up at all."""
        context = self._context
        with only_agent(context.effects, context.paths):
            self._watch = Watch(_watched_files(context), self._notice)
            try:
                async with self._served() as exposition:
                    exposition.tell(partial(context.reporter.show_also, "metrics"))
                    notify("READY=1")
                    try:
                        while True:
                            await self._step()
                            if self._reread:
                                self._reread = False
                                await exposition.follow(self._context.settings)
                    finally:
                        await self._answer_before_the_end()
            finally:
                self._watch.close()
                self._watch = None
                notify("STOPPING=1")

    @contextlib.asynccontextmanager
    async def _served(self) -> AsyncIterator[Exposition]:
        context, metrics = self._context, self._context.reporter.metrics
        group = context.settings.control.group
        async with (
            serve_control(context.effects, context.paths.control, self._answer, self._feed, group),
            open_exposition(context.effects, context.paths, metrics, context.settings) as exposition,
        ):
            yield exposition

    def reload(self) -> None:
        """Read the settings again, now; a mistake in them changes nothing and is told until it is mended."""
        notify("RELOADING=1", f"MONOTONIC_USEC={int(self._context.effects.monotonic() * 1_000_000)}")
        try:
            self._adopt(load_settings(self._context.paths))
        except AgentError as error:
            self._keep_settings(error.failure)
        notify("READY=1")

    def _adopt(self, settings: Settings) -> None:
        """Go on with other settings; a pass that is beyond fetching ends with those it began with."""
        old, new = self._context, replace(self._context, settings=settings)
        owner = group_id(settings.control.group)
        if self._watch is not None and _watched_files(new) != _watched_files(old):
            watch = Watch(_watched_files(new), self._notice)
            self._watch.close()
            self._watch = watch
        if settings.control != old.settings.control:
            _share_control(new, owner)
        self._context = new
        self._settings_failure = None
        self._reread = True
        LOG.info("the settings were read again%s", "" if settings != old.settings else ": nothing has changed")
        if settings != old.settings:
            self._notice()
        self._wake.set()

    def _keep_settings(self, failure: Failure) -> None:
        reporter, status = self._context.reporter, self._context.reporter.status
        told = status.failure in (None, self._settings_failure)
        self._settings_failure = failure
        if told:
            reporter.enter(status.state, status.summary, failure, status.next_attempt)
        else:
            LOG.warning("%s", failure)

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
        effects, metrics = self._context.effects, self._context.reporter.metrics
        begun = effects.monotonic()
        with self._watchdog.armed():
            outcome = await self._run_pass()
        metrics.count_pass(outcome, effects.monotonic() - begun)
        self._give_memory_back()
        return outcome

    async def _run_pass(self) -> Outcome | None:
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
        initial, ceiling = (settings.patient,) * 2 if outcome.patiently else (settings.initial, settings.ceiling)
        delay = retry_delay(self._failures, initial, ceiling, effects.chance())
        self._report(outcome, failure.message, failure, effects.now() + delay)
        await self._wait(delay)

    async def _wait_for_the_end(self) -> None:
        """The shutdown stops this process; if it does not come, say so and look again."""
        patience = self._context.settings.reboot.stuck_after
        with self._watchdog.armed():
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
        self._context.reporter.enter(state_of(outcome), summary, failure or self._settings_failure, at)
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


def _watched_files(context: Context) -> list[Path]:
    paths, node_config = context.paths, context.settings.node_config
    sources = [paths.below(source) for source in node_config.sources]
    added = [paths.below(directory) / ANY for directory in node_config.directories]
    return [*sources, *added, paths.below("/run/ostree/staged-deployment"), paths.below("/ostree/deploy")]


def _share_control(context: Context, owner: int | None) -> None:
    try:
        share_socket(context.paths.control, owner)
    except OSError as error:
        message = f"control.group: cannot hand over {context.paths.control}: {error.strerror}"
        raise AgentError(Code.SETTINGS_INVALID, message, "another group, or none") from error


def _resolve(waiting: list[asyncio.Future[Failure | None]], result: Failure | None) -> None:
    for future in waiting:
        if not future.done():  # whoever asked may have gone
            future.set_result(result)
