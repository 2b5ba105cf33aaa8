"""What a part of the reliability run comes to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a scenario, how many effects its uninterrupted run has, how many points were tried.

    ``same`` points are not tried, because they are those of an earlier scenario; of ``known`` ones that were, what
    followed a boot had been seen before.
    """

    name: str
    effects: int
    tried: int
    same: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of ``kind`` (``cut points``, ``faults``, ``fuzz``, ``breakages``) were tried, and what is wrong."""

    kind: str
    tried: int
    violations: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


_COUNTED = ("cut points", "faults", "fuzz")


def last_line(tallies: tuple[Tally, ...]) -> str:
    """The figures of what ran, in one line: ``cut points N, faults N, fuzz N, violations N``."""
    ran = [kind for kind in _COUNTED if any(tally.kind == kind for tally in tallies)]
    counts = [f"{kind} {sum(tally.tried for tally in tallies if tally.kind == kind)}" for kind in ran]
    return ", ".join([*counts, f"violations {sum(len(tally.violations) for tally in tallies)}"])


def table(tallies: tuple[Tally, ...]) -> str:
    """Every row of every part, for people."""
    rows = [row for tally in tallies for row in tally.rows]
    width = max((len(row.name) for row in rows), default=0)
    head = f"{'scenario':{width}}  effects  tried   same  known"
    lines = (f"{row.name:{width}}  {row.effects:7}  {row.tried:5}  {row.same:5}  {row.known:5}" for row in rows)
    return "\n".join([head, *lines])
