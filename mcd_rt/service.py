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

from mcd_rt.agent import run_pass
from mcd_rt.asked import Asked
from mcd_rt.control import Feed, group_id, serve_control, share_socket
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.lock import only_agent
from mcd_rt.memory import memory_returner
from mcd_rt.model.settings import Settings
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.observed.host import LAYERING_LOCKS
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

_BEGUN_ANEW = (State.FETCHING, State.WAITING, State.STAGED)
"""States in which a pass can take long and has not changed anything yet, or can do again what it did."""

_LOOK_AGAIN = 3600.0
"""Seconds: what is waited for by the wall clock is looked at again, because clocks are set."""


class Service:
    """``mcd-rt run``: passes until it is stopped."""

    def __init__(self, context: Context) -> None:
        """Take what the passes work with."""
        self._context = context
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._asked = Asked(self._hear)
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
                        await self._asked.settle_at_the_end(self._context)
            finally:
                self._watch.close()
                self._watch = None
                notify("STOPPING=1")

    @contextlib.asynccontextmanager
    async def _served(self) -> AsyncIterator[Exposition]:
        context, metrics = self._context, self._context.reporter.metrics
        group = context.settings.control.group
        async with (
            serve_control(context.effects, context.paths.control, self._asked.answer, self._feed, group),
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
            reporter.enter(status.state, status.summary, failure, status.next_attempt, awaiting=status.awaiting)
        else:
            LOG.warning("%s", failure)

    async def _step(self) -> None:
        self._wake.clear()
        self._changed.clear()
        self._asked.take(self._context)
        outcome = await self._pass()
        match outcome:
            case None | Progressed():
                return
            case Settled(until=until):
                self._failures = 0
                self._report(outcome, outcome.summary, outcome.failure, until)
                await self._wait(None if until is None else self._seconds_to(until))
            case Retry(failure):
                await self._retry(outcome, failure)
            case GoingDown(summary):
                self._report(outcome, summary)
                await self._wait_for_the_end()
            case _:
                assert_never(outcome)

    def _seconds_to(self, until: float) -> float:
        return min(_LOOK_AGAIN, max(0.0, until - self._context.effects.now()))

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
        running = asyncio.ensure_future(run_pass(replace(self._context, reboot_now=self._asked.reboot_now)))
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

    def _hear(self, urgent: bool) -> None:  # noqa: FBT001 - called by position, by one caller
        """Somebody asks: what is urgent ends a pass that only waits."""
        if urgent:
            self._changed.set()
        self._wake.set()

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
        awaiting = outcome.awaiting if isinstance(outcome, Settled) else None
        told = failure or self._settings_failure
        self._context.reporter.enter(state_of(outcome), summary, told, at, awaiting=awaiting)
        self._asked.settle(self._context)


def _watched_files(context: Context) -> list[Path]:
    paths, node_config = context.paths, context.settings.node_config
    sources = [paths.below(source) for source in node_config.sources]
    added = [paths.below(directory) / ANY for directory in node_config.directories]
    reboot = context.settings.reboot
    permission = [paths.below(reboot.permission_file.path)] if reboot.strategy == "permission-file" else []
    own = [paths.below("/run/ostree/staged-deployment"), paths.below("/ostree/deploy")]
    locks = [paths.below(file) for file in LAYERING_LOCKS]
    return [*sources, *added, *permission, *own, *locks, *_keys(context)]


def _keys(context: Context) -> list[Path]:
    """Where keys come that packages are blocked without; of a place that is a file the same watch tells."""
    content = context.settings.content
    return [context.paths.below(place) / ANY for place in content.keys] if content.trust == "require" else []


def _share_control(context: Context, owner: int | None) -> None:
    try:
        share_socket(context.paths.control, owner)
    except OSError as error:
        message = f"control.group: cannot hand over {context.paths.control}: {error.strerror}"
        raise AgentError(Code.SETTINGS_INVALID, message, "another group, or none") from error
