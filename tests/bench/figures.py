"""What benchmarks find: figures with what was measured beside them, their goals, and the one table of all."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Goal:
    """At most ``most``: in the figure's unit, or (``relative``) of the median of what is beside it."""

    most: float
    relative: bool = False


@dataclass(frozen=True)
class Figure:
    """One thing measured, in rounds: ``ours``, and ``theirs`` (what ``other`` took) in the same turns."""

    row: str
    unit: str
    ours: tuple[float, ...]
    other: str = ""
    theirs: tuple[float, ...] = ()
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal was reached; nothing where there is none."""
        if self.goal is None:
            return ""
        found = median(self.ours)
        if self.goal.relative:
            found /= median(self.theirs)
        return "reached" if found <= self.goal.most else "short"

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        """What a table shows of it."""
        theirs = f"{_spread(self.theirs, self.unit)}, {self.other}" if self.theirs else self.other
        ratios = [a / b for a, b in zip(self.ours, self.theirs, strict=False) if b]
        ratio = f"{median(self.ours) / median(self.theirs):.2f}" if ratios else ""
        limit = ""
        if self.goal is not None:
            limit = f"≤ {self.goal.most:g}" + (" ×" if self.goal.relative else f" {self.unit}".rstrip())
        return self.row, _spread(self.ours, self.unit), theirs, ratio, limit, self.verdict


@dataclass(frozen=True)
class Curve:
    """How a cost grows: points of each named line, for a plot called ``name``."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


HEAD = ("what", "mcd-rt", "beside it", "ratio", "goal", "")


def table(figures: Iterable[Figure]) -> str:
    """All of them, as a table of Markdown that reads well in a terminal too."""
    rows = [HEAD, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def tell(figures: Sequence[Figure], curves: Sequence[Curve] = ()) -> None:
    """Print them, and write them where ``--figures FILE`` says."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--figures", type=Path)
    arguments, _ = parser.parse_known_args()
    print(table(figures) if figures else "", flush=True)
    for curve in curves:
        print(curve.title)
        for line, points in curve.lines.items():
            print(f"  {line}: " + ", ".join(f"{x:g} {curve.x} {y:.3g} {curve.y}" for x, y in points), flush=True)
    if arguments.figures is not None:
        found = {"figures": [asdict(each) for each in figures], "curves": [asdict(each) for each in curves]}
        arguments.figures.write_text(json.dumps(found))


def read(file: Path) -> tuple[list[Figure], list[Curve]]:
    """What ``tell`` wrote."""
    found = json.loads(file.read_text())
    figures = [
        Figure(**(one | {"ours": tuple(one["ours"]), "theirs": tuple(one["theirs"]), "goal": _goal(one["goal"])}))
        for one in found["figures"]
    ]
    return figures, [Curve(**one) for one in found["curves"]]


def _goal(found: dict[str, float] | None) -> Goal | None:
    return None if found is None else Goal(found["most"], bool(found["relative"]))


def _spread(values: Sequence[float], unit: str) -> str:
    """The median, and where the others lie."""
    words = [f"{value:.{_digits(value)}f}" for value in (median(values), min(values), max(values))]
    between = f" ({words[1]}-{words[2]})" if words[1] != words[2] else ""
    return f"{words[0]} {unit}".rstrip() + between


def _digits(value: float) -> int:
    if value == int(value):
        return 0
    return 2 if value < 10 else 1
