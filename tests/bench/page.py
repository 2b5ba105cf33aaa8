"""docs/performance.md: the part between its markers is made from what the benchmarks found."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.figures import Curve, Figure, curve_from, figure_from, table

BEGIN, END = "<!-- made by `tox -e bench -- --write` -->\n", "<!-- up to here -->\n"


@dataclass(frozen=True)
class Machine:
    """What it was measured on."""

    processor: str
    processors: int
    memory: str
    software: str
    load: float  # average of the last quarter of an hour


@dataclass(frozen=True)
class Run:
    """One run of all benchmarks."""

    machine: Machine
    figures: list[Figure]
    curves: list[Curve]


def this_machine() -> Machine:
    """As its kernel tells it."""
    return Machine(
        _value(Path("/proc/cpuinfo"), "model name"),
        os.cpu_count() or 0,
        f"{int(_value(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 1e6:.0f} GB",
        f"Linux {platform.release()}, Python {platform.python_version()}",
        round(os.getloadavg()[2], 1),
    )


def _value(file: Path, key: str) -> str:
    found = (line.partition(":") for line in file.read_text().splitlines())
    return next((value.strip() for name, _, value in found if name.strip() == key), "unknown")


def dumped(run: Run) -> str:
    """As it is kept beside the page, a line a figure."""
    parts = [f'"machine": {json.dumps(asdict(run.machine), ensure_ascii=False)}']
    for name, found in (("figures", run.figures), ("curves", run.curves)):
        lines = ",\n".join(json.dumps(asdict(each), ensure_ascii=False) for each in found)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{" + ",\n".join(parts) + "}\n"


def loaded(text: str) -> Run:
    """What ``dumped`` made."""
    found = json.loads(text)
    return Run(Machine(**found["machine"]), [*map(figure_from, found["figures"])], [*map(curve_from, found["curves"])])


def written(page: str, run: Run) -> str:
    """The page with its generated part made anew."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"the page has no line {BEGIN.strip()} and after it {END.strip()}")
    return f"{before}{BEGIN}{_generated(run)}{END}{after}"


def _generated(run: Run) -> str:
    machine = run.machine
    short = [figure for figure in run.figures if figure.verdict == "short"]
    reached = [figure for figure in run.figures if figure.verdict == "reached"]
    return "\n".join(
        [
            "",
            f"Measured on {machine.processor}, {machine.processors} CPUs, {machine.memory}; {machine.software}.",
            f"Load average when it ended: {machine.load}. The benchmarks alone make about 1; more is other work on the",
            "machine, by which everything is slower, and comparisons are less certain.",
            "",
            table(run.figures),
            "",
            f"{len(reached)} goals are reached, {len(short)} are short"
            + (f": {'; '.join(figure.row for figure in short)}." if short else "."),
            "",
            "## Growth",
            "",
            *_images(run.curves),
            "",
        ]
    )


def _images(curves: Iterable[Curve]) -> list[str]:
    return [f"![{curve.title}: {curve.y} against {curve.x}]({curve.image})" for curve in curves]
