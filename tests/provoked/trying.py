"""Try a row: start the agent under its lever, and look around as soon as it has said the code."""

import asyncio

from mcd_rt.cli.status import EXIT_CODES
from mcd_rt.errors import Code
from mcd_rt.observation import Context
from mcd_rt.report.collector import render_text
from mcd_rt.report.health import health_of
from mcd_rt.report.reporter import Reporter
from mcd_rt.report.status import read_status
from mcd_rt.report.words import describe_status
from tests.effects_double import EffectsDouble
from tests.provoked.row import Row, Seen
from tests.reliability.faults_trial import PATIENCE, Trial, open_trial


class Watcher:
    """Looks at status file and metrics whenever the agent has said something, until the code is in it."""

    def __init__(self, trial: Trial, code: Code) -> None:
        self._code = code
        self._context = trial.context
        self.seen: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        trial.context = self._watched

    def _watched(self, effects: EffectsDouble) -> Context:
        context = self._context(effects)
        reporter = context.reporter
        for name in ("enter", "show_also"):
            setattr(reporter, name, self._then_look(context, reporter, getattr(reporter, name)))
        return context

    def _then_look(self, context, reporter: Reporter, say):
        def said(*arguments, **named):
            say(*arguments, **named)
            status = reporter.status
            reason = None if status.awaiting is None else status.awaiting.reason
            told = (status.failure, reason, *status.also)
            found = next((one for one in told if one and one.code is self._code), None)
            if found is not None and not self.seen.done():
                now = context.effects.now()
                written = read_status(context.paths)
                code = EXIT_CODES[health_of(written, now, running=True)]
                text = "\n".join(describe_status(written, now, running=True))
                self.seen.set_result(Seen(found, text, code, render_text(reporter.metrics).decode()))

        return said


async def provoke(row: Row) -> Seen:
    """What was seen; raises ``TimeoutError`` if the code was not."""
    assert row.lever is not None
    async with open_trial(row.profile, row.settings, cached=row.cached) as trial:
        watcher = Watcher(trial, row.code)
        async with row.lever(trial):
            starting = asyncio.ensure_future(row.start(trial))
            try:
                return await asyncio.wait_for(watcher.seen, PATIENCE)
            except TimeoutError as error:
                raise TimeoutError(f"it came to {trial.told()}") from error
            finally:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
