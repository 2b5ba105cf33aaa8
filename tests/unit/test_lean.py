"""What starts leanly is loaded all the same once somebody needs it."""

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from mcd_rt.cli import run
from mcd_rt.lean import import_when_used
from tests.leaks import leaves_nothing


@pytest.fixture
def unloaded() -> Iterator[str]:
    """A module of the standard library that nothing here needs."""
    name = "colorsys"
    sys.modules.pop(name, None)
    yield name
    sys.modules.pop(name, None)


def test_a_module_is_loaded_when_something_of_it_is_used_and_not_before(unloaded):
    import_when_used(unloaded)
    held = importlib.import_module(unloaded)
    assert "rgb_to_hsv" not in vars(held)
    assert importlib.import_module(unloaded) is held
    assert held.rgb_to_hsv(1, 1, 1) == (0.0, 0.0, 1)
    assert importlib.import_module(unloaded) is not held
    assert held.ONE_THIRD == importlib.import_module(unloaded).ONE_THIRD
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = held.no_such_thing


def test_a_module_that_is_loaded_or_not_there_stays_as_it_is():
    loaded = sys.modules["asyncio"]
    import_when_used("asyncio")
    import_when_used("no_such_module")
    assert sys.modules["asyncio"] is loaded
    assert "no_such_module" not in sys.modules


def test_a_signal_is_heard_in_the_loop_even_if_it_comes_before_the_loop_waits():
    async def story() -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        with run._waking(loop):
            run._hear(loop, signal.SIGUSR1, heard.set)
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(heard.wait(), 10)

    before = signal.getsignal(signal.SIGUSR1)
    try:
        with leaves_nothing():
            asyncio.run(story())
        os.kill(os.getpid(), signal.SIGUSR1)  # the loop is closed, and nobody has to be told any more
    finally:
        signal.signal(signal.SIGUSR1, before)
