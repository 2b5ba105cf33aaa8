"""What reads for long keeps nobody waiting, ends when nobody wants it any more, and leaves no thread."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcd_rt import steps
from mcd_rt.content import cache
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.plan import Assembly
from mcd_rt.threads import StoppedError, in_thread
from tests.effects_double import EffectsDouble
from tests.leaks import leaves_nothing, run
from tests.unit.test_content_cache import CONTENT, DIGEST, fill, host

PATIENCE = 10.0


def alone() -> bool:
    return threading.active_count() == 1 or all(thread.name != "mcd-rt-work" for thread in threading.enumerate())


def test_others_go_on_meanwhile():
    async def story() -> str:
        seen = threading.Event()
        asyncio.get_running_loop().call_soon(seen.set)
        return await in_thread(lambda _go_on: "done" if seen.wait(PATIENCE) else "nobody else got a turn")

    assert run(story()) == "done"
    assert alone()


def test_what_it_raises_is_raised():
    def fail(_go_on: object) -> None:
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        run(in_thread(fail))
    assert alone()


@pytest.mark.parametrize("times", [1, 3])
def test_who_is_cancelled_ends_the_work_and_waits_for_its_end(times):
    begun, told, ended = threading.Event(), threading.Event(), threading.Event()

    def work(go_on) -> None:
        begun.set()
        try:
            while True:
                go_on()
        except StoppedError:
            assert told.wait(PATIENCE)
            ended.set()
            raise

    async def story() -> None:
        task = asyncio.ensure_future(in_thread(work))
        while not begun.is_set():  # noqa: ASYNC110 - of a thread nothing else can be waited for
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        told.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    run(story())
    assert alone()


def opened(paths: HostPaths):
    """The packages that an assembly installs, open as a step has them."""
    context = SimpleNamespace(effects=EffectsDouble(), paths=paths)
    change = SimpleNamespace(target=SimpleNamespace(image_digest=DIGEST))
    return steps._opened(context, change, Assembly(install=CONTENT.packages))


def test_packages_are_compared_while_others_go_on(tmp_path: Path, monkeypatch):
    paths, open_packages = host(tmp_path), cache.open_packages
    fill(EffectsDouble(), paths)

    async def story() -> int:
        turn = threading.Event()
        asyncio.get_running_loop().call_soon(turn.set)

        def patient(*arguments):
            assert turn.wait(PATIENCE), "nobody else got a turn"
            return open_packages(*arguments)

        monkeypatch.setattr(steps, "open_packages", patient)
        async with opened(paths) as handles:
            return len(handles.packages)

    with leaves_nothing():
        assert run(story()) == len(CONTENT.packages)


def test_a_comparison_that_is_cancelled_leaves_nothing_open(tmp_path: Path, monkeypatch):
    paths, compare = host(tmp_path), cache._compare
    fill(EffectsDouble(), paths)
    begun, cancelled = threading.Event(), threading.Event()

    def slow(*arguments) -> None:
        begun.set()
        assert cancelled.wait(PATIENCE)
        compare(*arguments)

    monkeypatch.setattr(cache, "_compare", slow)

    async def story() -> None:
        async def stage() -> None:
            async with opened(paths):
                raise AssertionError("nobody wants it any more")

        task = asyncio.ensure_future(stage())
        while not begun.is_set():  # noqa: ASYNC110 - of a thread nothing else can be waited for
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with leaves_nothing():
        run(story())
    assert alone()
