"""Nothing may outlive a test: no task, no child, no descriptor, no error that only a log would have seen."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_TURNS = 5
"""Turns of the loop that cancelled tasks and closed transports need to be gone; not a wait."""


@contextmanager
def leaves_nothing() -> Iterator[None]:
    """Fail if the body leaves a descriptor open or a child behind, collected by the cycle collector or not."""
    descriptors, children = _descriptors(), _children()
    yield
    opened, born = _descriptors() - descriptors, _children() - children
    assert not opened, f"descriptors were left open: {opened}"
    assert not born, f"children were left behind: {born}"


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` that fails for what ``main`` leaves: tasks too, and what went wrong in callbacks."""
    with leaves_nothing():
        return asyncio.run(_watched(main))


async def _watched(main: Coroutine[Any, Any, T]) -> T:
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    result = await main
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, f"tasks were left running: {tasks}"
    assert not problems, f"the event loop caught errors that nobody handled: {problems}"
    return result


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add((int(entry.name), str(entry.readlink())))
    return found


def _children() -> set[int]:
    """The processes whose parent we are, zombies too: the fourth field of ``/proc/PID/stat`` (proc(5))."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    found.add(int(entry.name))
    return found
