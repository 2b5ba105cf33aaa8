"""Settings of the whole suite."""

import os
from collections.abc import Generator

import pytest
from coverage import Coverage
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """What hypothesis draws is not traced: it is another thing each time, and no coverage may hang on its luck.

    Most of what would be traced there is the drawing, which takes twice as long for it.
    """
    measured = Coverage.current() if item.get_closest_marker("hypothesis") else None
    if measured is not None:
        measured.stop()
    try:
        return (yield)
    finally:
        if measured is not None:
            measured.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be skipped (CI), what is skipped has failed: a test that is never run proves nothing."""
    report = yield
    if report.skipped and os.environ.get("MCD_RT_NO_SKIPS"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (and MCD_RT_NO_SKIPS allows none)"
    return report
