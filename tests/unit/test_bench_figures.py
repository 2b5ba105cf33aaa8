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
RUN = Run(Machine("a processor", 2, "24 GB", "Linux 6, Python 3"), [TIME, COUNT], [CURVE])
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


def test_every_benchmark_is_run():
    modules = {
        file.stem for file in (Path(__file__).parents[1] / "bench").glob("*.py") if "def measure(" in file.read_text()
    }
    assert modules - {"measure"} == set(BENCHES)
