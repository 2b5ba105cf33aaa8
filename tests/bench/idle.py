"""What an idle agent costs: wake-ups, threads and memory over a minute on a steady simulated node.

Prints figures; asserts nothing about time. ``--seconds N`` for a shorter look.
"""

import argparse
import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path

from mcd_rt.control import Verb, ask_agent
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.process import AgentStarted
from tests.integration.conftest import AGENT, served

_RENDERED = {
    "apiVersion": "machineconfiguration.openshift.io/v1",
    "kind": "MachineConfig",
    "metadata": {"name": "rendered-worker-1"},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a process, now: voluntary context switches of all threads so far, threads, memory in kB."""

    switches: int
    threads: int
    pss: int


def cost_of(pid: int) -> Cost:
    tasks = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    switches = sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task, re.MULTILINE)[1]) for task in tasks)
    pss = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
    return Cost(switches, len(tasks), pss)


async def measure(seconds: float) -> None:
    async with served() as (scene, told):
        scene.ask_for(KernelType.DEFAULT)
        await scene.node.run_agent(AGENT)
        await told.wait_for("steady")
        pid = [event.pid for event in scene.node.events if isinstance(event, AgentStarted)][-1]
        await asyncio.sleep(1.0)  # what follows a start is not idle
        before = cost_of(pid)
        await asyncio.sleep(seconds)
        after = cost_of(pid)
        print(f"idle for {seconds:g} s, metrics served on a unix socket")
        print(f"  wake-ups  {after.switches - before.switches}")
        print(f"  threads   {after.threads}")
        print(f"  PSS       {after.pss / 1000:.1f} MB")
        files = [{"path": f"/etc/{n}", "contents": "x" * 500} for n in range(40_000)]
        spec = {"kernelType": "default", "config": {"storage": {"files": files}}}
        text = json.dumps({**_RENDERED, "spec": spec}).encode()
        scene.write_config(text)
        await ask_agent(scene.node.paths.control, Verb.APPLY, 60)
        print(f"  PSS after a config of {len(text) / 1e6:.1f} MB  {cost_of(pid).pss / 1000:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    asyncio.run(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
