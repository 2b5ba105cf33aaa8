"""Two ways to the same end as a table: medians, spread, ratio, and whether a goal was reached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.measure import Cost

MEGABYTE = 1_000_000
_WIDTHS = (11, 25, 25, 19, 0)


@dataclass(frozen=True)
class Goal:
    """What a row should come to: at most ``most``, of the other way's median (``relative``) or in the row's unit."""

    most: float
    relative: bool = False
    of: str = ""

    def verdict(self, ours: float, theirs: float) -> str:
        found = ours / theirs if self.relative else ours
        limit = f"{self.most:.2f} x" if self.relative else f"{self.most:.1f}"
        return f"<= {limit}{self.of}: {'reached' if found <= self.most else 'short'}"


@dataclass(frozen=True)
class Row:
    """One kind of cost."""

    name: str
    unit: str
    of: Callable[[Cost], float]
    goal: Goal | None = None


def show(title: str, ways: tuple[str, str], rows: Sequence[Row], costs: tuple[Sequence[Cost], Sequence[Cost]]) -> str:
    """The table; ``costs`` are those of the first and of the second way, in the order they took turns in."""
    lines = [title, _line("", *ways, "ratio", "goal")]
    for row in rows:
        ours, theirs = ([row.of(cost) for cost in found] for found in costs)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True) if b]
        goal = row.goal.verdict(median(ours), median(theirs)) if row.goal else ""
        ratio = _spread([median(ours) / median(theirs), *ratios], "", 2) if ratios else ""
        lines.append(
            _line(
                row.name,
                _spread([median(ours), *ours], row.unit),
                _spread([median(theirs), *theirs], row.unit),
                ratio,
                goal,
            )
        )
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return ("  " + " ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))).rstrip()


def _spread(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """The first value, and where the others lie."""
    digits = digits or (2 if unit == "s" else 1)
    middle, lowest, highest = (f"{value:.{digits}f}" for value in (values[0], min(values[1:]), max(values[1:])))
    return f"{middle} {unit}".rstrip() + f" ({lowest}-{highest})"
