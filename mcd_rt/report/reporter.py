"""One place where the agent says what it does: status file, service manager and log at once."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.awaiting import Awaiting
from mcd_rt.model.content import Content
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.record import Record
from mcd_rt.model.state import State
from mcd_rt.report.events import Event
from mcd_rt.report.metrics import Metrics, kernel_type_of
from mcd_rt.report.notify import notify
from mcd_rt.report.status import PastFailure, Status, write_status

LOG = logging.getLogger("mcd_rt")

_WELL = (State.STEADY, State.STAGED, State.OBSERVING, State.IGNORED, State.UNSUPPORTED)
"""Where it comes to rest, if there is nothing to complain of."""


class Reporter:
    """Keeps the status and publishes it whenever it changes; ``on_publish`` is called then too."""

    def __init__(self, effects: Effects, paths: HostPaths, *, silent: bool = False) -> None:
        """Begin in ``starting``; a silent one only keeps the status, for verbs that change nothing."""
        self.metrics = Metrics(effects, paths)
        self._silent = silent
        self._effects = effects
        self._paths = paths
        self.on_publish: Callable[[], None] | None = None
        self._target = ""
        self._ailing: tuple[Code, float] | None = None
        self._also: dict[str, tuple[Failure, ...]] = {}
        self.status = Status(State.STARTING, effects.now(), "", os.getpid())

    def enter(
        self,
        state: State,
        summary: str,
        failure: Failure | None = None,
        next_attempt: float | None = None,
        *,
        awaiting: Awaiting | None = None,
    ) -> None:
        """Say that a state was reached, and why; ``awaiting`` is what a staged change waits for."""
        status = self.status
        told = (status.state, status.summary, status.failure, status.awaiting)
        changed = (state, summary, failure, awaiting) != told
        now = self._effects.now()
        since = self.status.since if state is self.status.state else now
        self._note(state, failure, now)
        self._publish(
            replace(
                self.status,
                state=state,
                since=since,
                summary=summary,
                failure=failure,
                failure_since=self._ailing[1] if failure is not None and self._ailing is not None else None,
                last_error=self._latest(failure, now),
                next_attempt=next_attempt,
                awaiting=awaiting,
                progress="",
                percent=-1,
            )
        )
        if changed:
            self._say(failure, None if awaiting is None else awaiting.reason)
        if failure is not None:
            self.metrics.count_failure(failure.code)

    def show_progress(self, text: str, percent: int) -> None:
        """Say how far the running step is; ``percent`` is -1 where that is not known."""
        self._publish(replace(self.status, progress=text, percent=percent))

    def show_host(self, host: Host) -> None:
        """Say what runs."""
        self.metrics.show_host(host)
        running = host.kernel_type.value
        status = replace(self.status, boot_id=host.boot_id, kernel_release=host.kernel_release, running=running)
        self._publish(status)

    def show_desired(self, desired: Desired) -> None:
        """Say what is asked for."""
        self._publish(
            replace(
                self.status,
                config=desired.name,
                config_source=desired.source,
                wanted=desired.kernel_type.value,
                image=desired.os_image,
            )
        )

    def show_deployments(self, deployments: Deployments) -> None:
        """Say what is there."""
        self.metrics.show_deployments(deployments)
        booted, staged = deployments.booted, deployments.staged
        self._publish(
            replace(
                self.status,
                booted=booted.id if booted else "",
                staged=staged.id if staged else "",
                staged_as=kernel_type_of(staged).value if staged else "",
                staged_locked=staged is not None and staged.locked,
            )
        )

    def show_trust(self, content: Content) -> None:
        """Say how an image was read, and who judged what is in it."""
        judged = content.trusted_by.value if content.packages else ""
        self._publish(replace(self.status, trusted_by=judged, read_by=content.way.value))

    def show_record(self, record: Record) -> None:
        """Say what is remembered: the last failure, and the last switch that came up."""
        self.metrics.show_record(record)
        self._target = "" if record.attempt is None else record.attempt.target.identity
        verified, hold, lock = record.verified, record.hold, record.lock
        held = hold is not None and (hold.until is None or self._effects.now() < hold.until)
        self._publish(
            replace(
                self.status,
                last_failure=record.failure,
                verified_at=verified.at if verified else None,
                switch_seconds=verified.at - verified.started if verified else None,
                switches=record.switches,
                held=held,
                held_until=hold.until if hold is not None and held else None,
                lock=lock.url if lock is not None and lock.granted else "",
            )
        )

    def show_also(self, part: str, failures: tuple[Failure, ...]) -> None:
        """Say what does not work in a part of the agent that its work does not depend on; nothing: it does."""
        if self._also.get(part, ()) != failures:
            self._also[part] = failures
            self._publish(replace(self.status, also=tuple(failure for each in self._also.values() for failure in each)))

    def _note(self, state: State, failure: Failure | None, now: float) -> None:
        """Since when it ails: what is tried again and fails again in the same way has not been well in between."""
        if failure is None and state in _WELL:
            self._ailing = None
        elif failure is not None and (self._ailing is None or self._ailing[0] is not failure.code):
            self._ailing = (failure.code, now)

    def _latest(self, failure: Failure | None, now: float) -> PastFailure | None:
        if failure is None or (failure == self.status.failure and self.status.last_error is not None):
            return self.status.last_error
        return PastFailure(failure, now)

    def _publish(self, status: Status) -> None:
        unchanged = status == self.status and self._paths.status.exists()
        self.status = status
        self.metrics.show_status(status)
        if unchanged or self._silent:
            return
        if self.on_publish is not None:
            self.on_publish()
        try:
            write_status(self._effects, self._paths, status)
        except AgentError as error:  # a full /run must not stop what the agent is there for
            LOG.error("%s", error.failure)

    def _say(self, failure: Failure | None, reason: Failure | None) -> None:
        """Tell the service manager and the log; ``reason`` has a code too, and nothing is wrong."""
        if self._silent:
            return
        status = self.status
        sentence = _on_one_line(f"{status.state}: {status.summary}")
        notify(f"STATUS={sentence}")
        told = failure or reason
        event = Event(status.state, told, status.config, status.wanted, self._target)
        line = sentence if told is None else f"{status.state}: {_on_one_line(str(told))}"
        LOG.log(logging.INFO if failure is None else logging.WARNING, "%s", line, extra={"event": event})


def _on_one_line(text: str) -> str:
    """rpm-ostree's own texts have several; in a notification or a log the next line would be something else."""
    return " ".join(text.split())
