"""Work that takes long without waiting for anybody: in a thread of its own, which ends with it.

An idle agent has one thread; those of an executor stay.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class StoppedError(Exception):
    """Nobody wants the result any more."""


async def in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """The result of ``work``, which is handed what it has to call now and then: that raises once nobody waits.

    Who is cancelled waits for it to have ended, so that nothing is closed under its hands.
    """
    loop = asyncio.get_running_loop()
    ended, unwanted = asyncio.Event(), threading.Event()
    outcome: list[T] = []
    failures: list[BaseException] = []

    def go_on() -> None:
        if unwanted.is_set():
            raise StoppedError

    def run() -> None:
        try:
            outcome.append(work(go_on))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            failures.append(error)
        loop.call_soon_threadsafe(ended.set)

    thread = threading.Thread(target=run, name="mcd-rt-work")
    thread.start()
    try:
        await ended.wait()
    except asyncio.CancelledError:
        unwanted.set()
        await _wait_out(ended)
        raise
    finally:
        thread.join()
    if failures:
        raise failures[0]
    return outcome[0]


async def _wait_out(ended: asyncio.Event) -> None:
    """Wait, however often this is cancelled: it takes no longer than a piece of work between two looks."""
    while not ended.is_set():
        try:
            await ended.wait()
        except asyncio.CancelledError:
            continue
