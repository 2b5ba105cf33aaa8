"""What follows a boot, known from an earlier run that came to the very same world at the beginning of one."""

from dataclasses import dataclass, replace

from tests.reliability.bench import Bench
from tests.reliability.states import Finish, Instant


@dataclass(frozen=True, slots=True)
class Tail:
    """The instants after a boot, and the finish; reboots are counted from that boot."""

    instants: tuple[Instant, ...]
    finish: Finish


@dataclass(frozen=True, slots=True)
class _Mark:
    """The beginning of a boot in a run that goes on; ``instants`` is how many there were."""

    key: str
    reboots: int
    asked: int
    instants: int


class Tails:
    """Of one scenario; ``known`` by the digest of the world (``Bench.digest``), from which all the rest follows."""

    def __init__(self) -> None:
        self.known: dict[str, Tail] = {}
        self.folded = 0
        self.instants: list[Instant] = []
        self._marks: list[_Mark] = []

    def begin(self) -> None:
        """Another run."""
        self.instants, self._marks = [], []

    def look(self, instant: Instant) -> None:
        """Keep it, where the deployments are others than before."""
        if not self.instants or self.instants[-1].system is not instant.system:
            self.instants.append(instant)

    def recall(self, bench: Bench) -> Finish | None:
        """At the beginning of a boot, with no interruption to come: the finish, if the rest has been seen before."""
        key = bench.digest()
        tail = self.known.get(key)
        if tail is None:
            self._marks.append(_Mark(key, bench.node.reboots, bench.asked_reboots, len(self.instants)))
            return None
        self.folded += 1
        self.instants += tail.instants
        finish = tail.finish
        end = replace(finish.end, reboots=finish.end.reboots + bench.node.reboots)
        problems = (*bench.problems, *finish.problems)
        return replace(finish, end=end, asked=finish.asked + bench.asked_reboots, problems=problems)

    def end(self, finish: Finish) -> None:
        """Of a run in which nothing went wrong: keep what followed each of its boots."""
        for mark in self._marks:
            end = replace(finish.end, reboots=finish.end.reboots - mark.reboots)
            rest = replace(finish, end=end, asked=finish.asked - mark.asked)
            self.known[mark.key] = Tail(tuple(self.instants[mark.instants :]), rest)
