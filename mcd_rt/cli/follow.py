"""``mcd-rt status --follow``: what the agent says, as it says it."""

import json
import os
import sys
from dataclasses import asdict
from typing import NoReturn

from mcd_rt.control import follow_agent
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.report.health import health_of
from mcd_rt.report.status import VERSION, Status, as_of, decode_status
from mcd_rt.report.words import bar, moment

_BACK = "\r\x1b[K"
"""To the beginning of the line, and clear it."""


async def follow_status(paths: HostPaths, *, as_json: bool) -> NoReturn:
    """Print every change; raises ``AgentError`` when the agent stops (``agent-not-running``) or does not answer."""
    lines = FollowedLines(os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0)
    try:
        async for document in follow_agent(paths.control):
            status = decode_status(document, str(paths.control))
            now = HostEffects().now()
            _print(status_json(status, now, running=True) + "\n" if as_json else lines.add(status))
    except AgentError:
        _print(lines.end())
        raise
    raise AssertionError("only a failure ends it")


def status_json(status: Status, now: float, *, running: bool) -> str:
    """One JSON object on one line, as ``status.schema.json`` says."""
    judged = {"health": health_of(status, now, running=running), "agent_running": running}
    return json.dumps({"version": VERSION, **asdict(as_of(status, now)), **judged})


class FollowedLines:
    """Statuses as lines for people; on a terminal the progress of a step is redrawn in one line."""

    def __init__(self, columns: int) -> None:
        """Begin with nothing printed; ``columns`` is how many the terminal has, 0 where there is none."""
        self._columns = columns
        self._last: Status | None = None
        self._drawn = False

    def add(self, status: Status) -> str:
        """What to print for the next status: nothing, where nothing changed that a line tells."""
        last, self._last = self._last, status
        news = last is None or _told(status) != _told(last)
        text = self.end() + "".join(f"{line}\n" for line in _lines(status)) if news else ""
        if status.progress and self._columns:
            self._drawn = True
            return f"{text}{_BACK}{_step(status)[: self._columns - 1]}"
        if status.progress and (news or last is None or status.progress != last.progress):
            return f"{text}{_step(status)}\n"
        return text

    def end(self) -> str:
        """What to print so that something else can follow."""
        drawn, self._drawn = self._drawn, False
        return _BACK if drawn else ""


def _told(status: Status) -> tuple[object, ...]:
    return status.state, status.summary, status.failure, status.next_attempt


def _lines(status: Status) -> list[str]:
    lines = [f"{_time(status.since)}  {status.state:<11} {_on_one_line(str(status.failure or status.summary))}"]
    if status.next_attempt is not None:
        lines.append(f"{'':<19}  {'':<11} next: {_time(status.next_attempt)}")
    return lines


def _step(status: Status) -> str:
    """The bar first: what is cut off at the edge of a terminal are the words."""
    return f"{'':<19}  {'':<11} {' '.join(filter(None, (bar(status.percent), _on_one_line(status.progress))))}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _time(seconds: float) -> str:
    return moment(seconds)[:19]


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
