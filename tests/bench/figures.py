"""What benchmarks find: figures with what was measured beside them, their goals, and the one table of all."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

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
            limit = f"≤ {self.goal.most:.4g}" + (" ×" if self.goal.relative else f" {self.unit}".rstrip())
        return self.row, _spread(self.ours, self.unit), theirs, ratio, limit, self.verdict


@dataclass(frozen=True)
class Curve:
    """How a cost grows: points of each named line, for a plot called ``name``."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def image(self) -> str:
        """The file of its plot."""
        return f"performance-{self.name}.png"


HEAD = ("what", "mcd-rt", "beside it", "ratio", "goal", "")


def table(figures: Iterable[Figure]) -> str:
    """All of them, as a table of Markdown that reads well in a terminal too."""
    rows = [HEAD, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def show(figures: Sequence[Figure], curves: Sequence[Curve] = ()) -> str:
    """All of it, for a terminal."""
    lines = [table(figures)] if figures else []
    for curve in curves:
        lines.append(f"{curve.title}:")
        for line, points in curve.lines.items():
            lines.append(f"  {line}: " + ", ".join(f"{x:g} {curve.x} {y:.3g} {curve.y}" for x, y in points))
    return "\n".join(lines)


def tell(figures: Sequence[Figure], curves: Sequence[Curve] = ()) -> None:
    """Print them, and write them where ``--figures FILE`` says."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--figures", type=Path)
    arguments, _ = parser.parse_known_args()
    print(show(figures, curves), flush=True)
    if arguments.figures is not None:
        write(arguments.figures, figures, curves)


def write(file: Path, figures: Sequence[Figure], curves: Sequence[Curve]) -> None:
    """Keep them."""
    found = {"figures": [asdict(each) for each in figures], "curves": [asdict(each) for each in curves]}
    file.write_text(json.dumps(found))


def read(file: Path) -> tuple[list[Figure], list[Curve]]:
    """What ``write`` kept."""
    found = json.loads(file.read_text())
    return [*map(figure_from, found["figures"])], [*map(curve_from, found["curves"])]


def figure_from(found: dict[str, Any]) -> Figure:
    """A figure that was made a dictionary."""
    goal = found["goal"] and Goal(**found["goal"])
    return Figure(**(found | {"ours": tuple(found["ours"]), "theirs": tuple(found["theirs"]), "goal": goal}))


def curve_from(found: dict[str, Any]) -> Curve:
    """A curve that was made a dictionary."""
    lines = {name: [tuple(point) for point in points] for name, points in found["lines"].items()}
    return Curve(**(found | {"lines": lines}))


def _spread(values: Sequence[float], unit: str) -> str:
    """The median, and where the others lie."""
    words = [f"{value:.{_digits(value)}f}" for value in (median(values), min(values), max(values))]
    between = f" ({words[1]}-{words[2]})" if words[1] != words[2] else ""
    return f"{words[0]} {unit}".rstrip() + between


def _digits(value: float) -> int:
    if value == int(value):
        return 0
    return 2 if value < 10 else 1
