"""What stories of trouble share: nodes to tell them on, the levers, and what must be true meanwhile."""

import asyncio
import functools
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcd_rt.dbus.names import SYSTEMD_MANAGER
from mcd_rt.dbus.wire import Message
from mcd_rt.errors import Code, Failure
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.status import read_status
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.scene import Scene, open_scene, write_settings
from mcd_rt.sim.service import BusService, Reply
from mcd_rt.sim.world import Deployment
from tests.integration.conftest import PATIENCE, Told

SLOW_RETRY = "[retry]\ninitial = 0.8\nceiling = 0.8\npatient = 0.8\n"
"""Long enough to look at a node while it waits for its next attempt."""

_OURS = {
    "var/lib/mcd-rt": re.compile(r"record\.(json|damaged)|tuned\.json|firstboot-done"),
    "var/cache/mcd-rt": re.compile(r"[0-9a-f]{64}(/(content\.json|\d+\.rpm))?|os(/[0-9a-f]{64}(/os\.json)?)?"),
    "run/mcd-rt": re.compile(r"status\.json|lock|(control|metrics)\.sock"),
}

_WHOLE = ("content.json", "os.json")
"""What an entry of the cache has that is in use."""


@dataclass(frozen=True)
class Kept:
    """What a failure must leave alone."""

    deployments: tuple[Deployment, ...]
    reboots: int


def kept(node: SimulatedNode) -> Kept:
    return Kept(node.deployments, node.reboots)


def leftovers(node: SimulatedNode) -> list[str]:
    """What lies in the agent's directories and is neither in use nor of any use."""
    found = []
    for place, known in _OURS.items():
        top = node.root / place
        for path in sorted(top.rglob("*")):
            name = str(path.relative_to(top))
            entry = path.is_dir() and path.name != "os"
            unfinished = entry and not any((path / whole).exists() for whole in _WHOLE)
            if not known.fullmatch(name) or unfinished:
                found.append(f"{place}/{name}")
    return found


async def told_of(told: Told, node: SimulatedNode, state: State, code: Code, *words: str) -> Failure:
    """Wait until the node says that it failed in this way, and look whether everybody is told the same."""
    line = await told.wait_for(state.value, contains=words[0] if words else "")
    status = read_status(node.paths)
    failure = status.failure
    assert status.state is state, f"{status.state} after {line!r}"
    assert failure is not None, line
    assert failure.code is code, str(failure)
    assert failure.hint or code is Code.CONFIG_INVALID, str(failure)  # that one says what was expected
    missing = [word for word in words if word not in failure.message]
    assert not missing, f"{missing} in {failure.message!r}"
    assert " ".join(failure.message.split()) in line, f"{failure.message!r} in {line!r}"
    return failure


async def reaches(told: Told, node: SimulatedNode, kernel_type: KernelType, *, assemblies: int, reboots: int) -> None:
    """Wait until the wanted kernel runs, and look what it took."""
    await told.wait_for("steady", contains=f"{kernel_type} is wanted and runs")
    took = (node.assemblies, node.reboots)
    assert took == (assemblies, reboots), f"it took {took[0]} assemblies and {took[1]} reboots"
    assert node.booted.tree.realtime is (kernel_type is KernelType.REALTIME), str(node.booted)
    assert node.rpm_ostree.system.staged is None, str(node.rpm_ostree.system.staged)
    assert leftovers(node) == [], str(leftovers(node))


async def type_on(node: SimulatedNode, *arguments: str) -> tuple[int, str]:
    """What a person types on the node: exit code and all output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mcd_rt",
        *arguments,
        env=os.environ | node.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def configure(node: SimulatedNode, text: str) -> None:
    """Settings of one story, on top of those of the scene."""
    drop_in = node.paths.below("/etc/mcd-rt/config.d/60-test.toml")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(text)


@asynccontextmanager
async def node_of(image: ImageReference, **options: object) -> AsyncIterator[tuple[Scene, Told]]:
    """A node whose OS came from any image; ``options`` are those of ``SimulatedNode``."""
    told = Told()
    bases = options.pop("bases", None) or default_bases(str(image))
    async with SimulatedNode(bases, on_event=told.hear, **options) as node:
        write_settings(node)
        yield Scene(node, image), told


def fill_cache(scene: Scene) -> None:
    """What a fetch of the scene's own image leaves, for stories in which the fetch does not matter."""
    entry = scene.node.paths.cache / scene.image.digest.removeprefix("sha256:")
    entry.mkdir(parents=True, mode=0o700)
    for name, data in _fetched().items():
        (entry / name).write_bytes(data)


@functools.cache
def _fetched() -> dict[str, bytes]:
    """The files of the cache's entry after a real fetch, which is the same for every scene; done once."""
    with ThreadPoolExecutor(1) as pool:  # beside the loop of the story that asked
        return pool.submit(asyncio.run, _fetch()).result()


async def _fetch() -> dict[str, bytes]:
    async with open_scene() as scene:
        scene.ask_for(KernelType.REALTIME)
        code, text = await type_on(scene.node, "apply", "--no-reboot")
        assert code == 0, text
        [entry] = scene.node.paths.cache.iterdir()
        return {file.name: file.read_bytes() for file in entry.iterdir()}


class Gate:
    """Something on the node stops here: a worker of the agent, or the command that lists a base's packages."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._pipes = []
        for name in ("arrived", "gate"):
            os.mkfifo(place / name)
            self._pipes.append(os.open(place / name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        self._more = asyncio.Event()
        self._came = 0

    async def reached(self, times: int = 1) -> None:
        """Wait until something stands before it for the n-th time."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipes[0], self._hear)
        try:
            async with asyncio.timeout(PATIENCE):
                while self._came < times:
                    self._more.clear()
                    await self._more.wait()
        finally:
            loop.remove_reader(self._pipes[0])

    def let_pass(self, count: int = 1) -> None:
        """Let that many pass, those that come later as well."""
        os.write(self._pipes[1], b"\n" * count)

    def close(self) -> None:
        """Let everybody pass from now on who still stands before it."""
        for pipe in self._pipes:
            os.close(pipe)

    def _hear(self) -> None:
        self._came += len(os.read(self._pipes[0], 4096))
        self._more.set()


_SITE = """\
import os, sys
place = os.environ.get("MCD_RT_TEST_GATE")
if place and sys.orig_argv[-1:] == ["worker"]:
    with open(f"{place}/arrived", "wb", buffering=0) as arrived:
        arrived.write(b"x")
    with open(f"{place}/gate", "rb", buffering=0) as gate:
        gate.read(1)
"""


@contextmanager
def workers_held(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Agents that are started meanwhile have workers that stop before they do anything."""
    _fetched()  # whoever fills a cache meanwhile must not be held
    gate = Gate(place)
    (place / "sitecustomize.py").write_text(_SITE)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH")))))
        patch.setenv("MCD_RT_TEST_GATE", str(place))
        try:
            yield gate
        finally:
            gate.close()


@contextmanager
def planning_held(place: Path, node: SimulatedNode) -> Iterator[Gate]:
    """The agent's plan stops once it has looked at the deployments, before it does anything."""
    gate = Gate(place)
    command = node.paths.below("/usr/bin/rpm-ostree")
    real = command.with_name("rpm-ostree.real")
    command.rename(real)
    command.write_text(f'#!/bin/sh\nprintf x > {place}/arrived\nread -r _ < {place}/gate\nexec {real} "$@"\n')
    command.chmod(0o755)
    try:
        yield gate
    finally:
        gate.close()


@contextmanager
def hearing(service: BusService, member: str) -> Iterator[asyncio.Event]:
    """An event that says that a method of a simulated service was called."""
    original, called = service._handlers[member], asyncio.Event()

    async def heard(call: Message) -> Reply:
        called.set()
        return await original(call)

    service._handlers[member] = heard
    try:
        yield called
    finally:
        service._handlers[member] = original


@contextmanager
def reboot_held(node: SimulatedNode) -> Iterator[asyncio.Event]:
    """The service that finalizes takes its time to start; the event says that the agent waits for it."""
    wanted = []
    node.systemd.finalizer_is = lambda *, active: wanted.append(active)
    try:
        with hearing(node.systemd.service, f"{SYSTEMD_MANAGER}.GetUnit") as asked:
            yield asked
    finally:
        del node.systemd.finalizer_is
        node.systemd.finalizer_is(active=wanted[-1])
