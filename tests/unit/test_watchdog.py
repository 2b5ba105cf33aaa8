"""The watchdog: signs of life while there is work, silence without it, nothing where nobody asked."""

import asyncio
import os

import pytest

from mcd_rt.report import watchdog
from mcd_rt.report.watchdog import Watchdog


@pytest.fixture
def said(monkeypatch):
    """What the service manager was told, in order; ``more`` says that there is more of it."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    told: list[str] = []
    monkeypatch.setattr(watchdog, "notify", lambda *lines: told.extend(lines))
    return told


async def work(told, count):
    """Work until so much was told."""
    with Watchdog().armed():
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def look():
            if len(told) >= count:
                done.set()
            else:
                loop.call_soon(look)

        look()
        await done.wait()


def test_it_pings_while_there_is_work_and_is_off_after_it(said):
    asyncio.run(work(said, 5))
    assert said[0] == "WATCHDOG_USEC=2000"
    assert said[1:-1] == ["WATCHDOG=1"] * (len(said) - 2)
    assert len(said) >= 6
    assert said[-1] == "WATCHDOG_USEC=0"


def test_no_timer_is_left_when_the_work_is_over(said):
    async def main():
        pet = Watchdog()
        with pytest.raises(ZeroDivisionError), pet.armed():
            raise ZeroDivisionError
        assert pet._timer.cancelled()

    asyncio.run(main())
    assert said == ["WATCHDOG_USEC=2000", "WATCHDOG=1", "WATCHDOG_USEC=0"]


def test_it_is_armed_again_for_the_next_work(said):
    async def main():
        pet = Watchdog()
        for _ in range(2):
            with pet.armed():
                pass

    asyncio.run(main())
    assert said == ["WATCHDOG_USEC=2000", "WATCHDOG=1", "WATCHDOG_USEC=0"] * 2


@pytest.mark.parametrize(
    "environment",
    [
        {"NOTIFY_SOCKET": ""},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_PID": "1"},
    ],
)
def test_where_nobody_asks_for_it_nothing_is_said(said, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def main():
        with Watchdog().armed():
            pass

    asyncio.run(main())
    assert said == []


def test_it_is_ours_where_the_manager_names_nobody(said, monkeypatch):
    monkeypatch.delenv("WATCHDOG_PID")

    async def main():
        with Watchdog().armed():
            pass

    asyncio.run(main())
    assert said
