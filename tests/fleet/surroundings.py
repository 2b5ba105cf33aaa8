"""What the nodes of a fleet share: the time, a lock server, a registry."""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from mcd_rt.errors import Code, Failure
from mcd_rt.reboot.situation import LockDenied, LockGranted

MINUTE = 60.0


class Timeline:
    """Events in their order; ``now`` are seconds since the fleet was told."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(time, self.now), next(self._order), event))

    def run(self, until: float) -> None:
        """Every event up to a time, and those they bring."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until


@dataclass(slots=True)
class LockServer:
    """A semaphore with ``slots``, as FleetLock servers are: a holder that asks again has it still.

    ``silent`` is a span of time in which it does not answer.
    """

    timeline: Timeline
    slots: int
    silent: tuple[float, float] = (-1.0, -1.0)
    holders: set[int] = field(default_factory=set)
    asked: Counter[int] = field(default_factory=Counter)

    def pre_reboot(self, node: int) -> LockGranted | LockDenied:
        now = self.timeline.now
        self.asked[int(now // MINUTE)] += 1
        if not self._answers():
            return LockDenied(now, Failure(Code.LOCK_UNREACHABLE, "the lock server does not answer"))
        if node not in self.holders and len(self.holders) >= self.slots:
            return LockDenied(now, Failure(Code.LOCK_REFUSED, f"all {self.slots} slots are taken"))
        self.holders.add(node)
        return LockGranted()

    def steady_state(self, node: int) -> bool:
        """Whether it was given back."""
        if self._answers():
            self.holders.discard(node)
        return self._answers()

    def _answers(self) -> bool:
        begin, end = self.silent
        return not begin <= self.timeline.now < end


@dataclass(slots=True)
class Registry:
    """What is asked of it in each minute: requests, and bytes as they are sent."""

    timeline: Timeline
    requests: Counter[int] = field(default_factory=Counter)
    sent: Counter[int] = field(default_factory=Counter)

    def fetch(self, requests: int, size: int) -> None:
        minute = int(self.timeline.now // MINUTE)
        self.requests[minute] += requests
        self.sent[minute] += size
