"""Two assemblies of packages with the same names and other bytes: rpm-ostree must not take one for the other.

It compares what was called with what, and descriptors only by their index (``reference/rpm-ostree-dbus.md`` 2).
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from mcd_rt.content.cache import load
from mcd_rt.dbus.rpmostree import RpmOstree, open_rpm_ostree
from mcd_rt.dbus.transaction import Foreign, Outcome
from mcd_rt.errors import AgentError
from mcd_rt.model.plan import Assembly
from mcd_rt.model.settings import RpmOstreeSettings
from mcd_rt.sim.faults import ANY, Hold
from tests.reliability.beginning import kernel_names, open_bench
from tests.reliability.bench import Bench
from tests.reliability.scenarios import Scenario


def join_by_name(mistake: Callable[[], None]) -> tuple[int, list[str]]:
    """What is wrong with the proof that the digest in the command line is needed."""
    wrong = []
    if asyncio.run(_joined()):
        wrong.append("breakage forget digest: without it: the other's transaction was given")
    mistake()
    if not asyncio.run(_joined()):
        wrong.append("breakage forget digest: not noticed: the call was refused all the same")
    return 1, wrong


async def _joined() -> bool:
    async with open_bench(Scenario("same names, other bytes")) as (bench, start):
        await bench.put_back(start)
        content = load(bench.node.paths, bench.images[0].digest, kernel_names())
        assert content is not None
        others = tuple(replace(package, sha256="0" * 64) for package in content.packages)
        hold = Hold(ANY)
        bench.node.faults.at.append(hold)
        async with _client(bench) as first, _client(bench) as second:
            running = asyncio.ensure_future(_update(first, Assembly(install=content.packages)))
            await hold.reached.wait()
            try:
                return isinstance(await _update(second, Assembly(install=others)), Foreign)
            except AgentError:
                return False
            finally:
                hold.release.set()
                await running


def _client(bench: Bench) -> AbstractAsyncContextManager[RpmOstree]:
    return open_rpm_ostree(RpmOstreeSettings(), bench.effects())


async def _update(client: RpmOstree, assembly: Assembly) -> Outcome:
    """The bytes behind the descriptors are never read: what is asked is all that counts here."""
    descriptors = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in assembly.install]
    try:
        return await client.update_deployment(assembly, descriptors, lambda _progress: None)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
