"""The benchmarks' figures: verdicts, the table, what is kept of a run, and that the page is made from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHES
from tests.bench.figures import Curve, Figure, Goal, read, show, table, write
from tests.bench.page import BEGIN, END, Machine, Run, dumped, loaded, written

TIME = Figure("fetch: time", "s", (3.0, 1.0, 2.0), "podman", (10.0, 20.0, 30.0), Goal(0.1, relative=True))
COUNT = Figure("children", "", (0,), goal=Goal(0))
CURVE = Curve("fetch-size", "A fetch", "MB", "s", {"mcd-rt": [(1, 0.5), (100, 1.25)]})
RUN = Run(Machine("a processor", 2, "24 GB", "Linux 6, Python 3", 1.0), [TIME, COUNT], [CURVE])
DOCS = Path(__file__).parents[2] / "docs"
PAGE = f"# Performance\n\nBefore.\n\n{BEGIN}old\n{END}\nAfter.\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "goal", "verdict"),
    [
        ((1.0, 2.0, 90.0), (), Goal(2.0), "reached"),  # the median counts
        ((1.0, 2.1, 3.0), (), Goal(2.0), "short"),
        ((1.0,), (2.0,), Goal(0.5, relative=True), "reached"),
        ((1.1,), (2.0,), Goal(0.5, relative=True), "short"),
        ((5.0,), (), None, ""),
    ],
)
def test_a_goal_is_reached_by_the_median(ours, theirs, goal, verdict):
    assert replace(TIME, ours=ours, theirs=theirs, goal=goal).verdict == verdict


def test_the_table_has_medians_with_their_spread_what_is_beside_it_ratio_goal_and_verdict():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table([TIME, COUNT]).splitlines()]
    assert rows[2] == ["fetch: time", "2 s (1-3)", "20 s (10-30), podman", "0.10", "≤ 0.1 ×", "reached"]
    assert rows[3] == ["children", "0", "", "", "≤ 0", "reached"]
    assert len({len(line) for line in table([TIME, COUNT]).splitlines()}) == 1


def test_curves_are_shown_as_points():
    assert "  mcd-rt: 1 MB 0.5 s, 100 MB 1.25 s" in show([], [CURVE])


def test_what_was_found_is_read_as_it_was_written(tmp_path):
    write(tmp_path / "found", [TIME, COUNT], [CURVE])
    assert read(tmp_path / "found") == ([TIME, COUNT], [CURVE])
    assert loaded(dumped(RUN)) == RUN


def test_the_page_gets_every_row_and_plot_between_its_markers_and_keeps_the_rest():
    page = written(PAGE, RUN)
    assert page.startswith("# Performance\n\nBefore.\n\n")
    assert page.endswith("\nAfter.\n")
    assert "old" not in page
    assert all(found in page for found in ("| fetch: time ", "| children ", "(performance-fetch-size.png)"))
    assert written(page, RUN) == page


def test_a_page_without_its_markers_is_not_written():
    with pytest.raises(SystemExit, match="no line"):
        written("# Performance\n", RUN)


def test_the_page_is_made_of_the_figures_that_are_kept_with_it():
    page = (DOCS / "performance.md").read_text()
    run = loaded((DOCS / "performance.json").read_text())
    assert written(page, run) == page
    assert all((DOCS / curve.image).is_file() for curve in run.curves)


@pytest.mark.parametrize(
    "row",
    [
        "fetch, two layers: time",
        "fetch, two layers: network",
        "fetch, two layers: written",
        "fetch, one layer: time",
        "image mode with srv/repo: written",
        "OS upgrade that keeps RT: deployments assembled",
        "configs that do not concern the kernel, RT node: children",
        "idle for 60 s: wake-ups",
        "idle: memory (PSS)",
        "idle after a config of 20 MB: memory more",
        "start to READY",
        "a new config to UpdateDeployment, without settle time and hashing",
        "a pass after one of them: CPU beyond parsing",
        "a config of 5 MB",
    ],
)
def test_the_page_has_what_was_promised_to_be_measured(row):
    rows = [figure.row for figure in loaded((DOCS / "performance.json").read_text()).figures if figure.goal]
    assert row in rows


def test_every_benchmark_is_run():
    modules = {
        file.stem for file in (Path(__file__).parents[1] / "bench").glob("*.py") if "def measure(" in file.read_text()
    }
    assert modules - {"measure"} == set(BENCHES)
