"""``mcd-rt sim``: leave a simulated node running, for other shells to play with."""

import argparse
import asyncio
import shlex
import signal
import sys
from pathlib import Path
from typing import assert_never

from mcd_rt.errors import AgentError, Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.node import Event, Rebooted
from mcd_rt.sim.process import AgentExited, AgentSaid, AgentStarted
from mcd_rt.sim.profiles import DEFAULT, PROFILES
from mcd_rt.sim.rpmostree import Finished
from mcd_rt.sim.scene import open_scene

_EXAMPLE = """\
example:
  mcd-rt sim > node &           # prints `export K=V` lines, then a blank line
  . ./node                      # this shell now speaks of the simulated node
  mcd-rt plan                   # what would happen
  mcd-rt apply                  # stage, and ask for the reboot
  mcd-rt apply                  # after the reboot: verify

At a reboot of the node, the process that asked for it is stopped, as it would be on a host: start
`mcd-rt run` or `mcd-rt apply` again.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "sim",
        help="leave a simulated node running, for other shells",
        description="Simulates a node (rpm-ostree, logind, reboots, an image with kernel-rt) on a private bus until "
        "Ctrl-C. Needs no root and no network, only dbus-daemon.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rpm-ostree", choices=sorted(PROFILES), default=DEFAULT, help="the version to behave like")
    parser.add_argument(
        "--el", type=int, choices=(8, 9), default=9, help="the release of Enterprise Linux (default: 9)"
    )
    parser.add_argument("--config", type=Path, help="the MachineConfig to begin with (default: realtime: true)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Simulate until Ctrl-C or SIGTERM."""
    asyncio.run(_simulate(arguments))
    return 0


async def _simulate(arguments: argparse.Namespace) -> None:
    config = _read_config(arguments.config)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with open_scene(profile=arguments.rpm_ostree, el=arguments.el, on_event=_tell) as scene:
        if config is None:
            scene.ask_for(KernelType.REALTIME)
        else:
            scene.write_config(config)
        facts = {**scene.node.environment, "MCD_RT_SIM_CONFIG": str(scene.config), "MCD_RT_SIM_IMAGE": str(scene.image)}
        lines = [f"export {key}={shlex.quote(value)}" for key, value in facts.items()]
        print("\n".join(lines), end="\n\n", flush=True)
        await ended.wait()


def _read_config(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        why = f"cannot read {path}: {error.strerror}"
        raise AgentError(Code.CONFIG_MISSING, why, "name a file that is there, or leave --config out") from error


def _tell(event: Event) -> None:
    match event:
        case Rebooted(deployment=deployment, kernel_release=release):
            text = f"rebooted into {deployment[:12]}, kernel {release}"
        case Finished(method=method, error=error):
            text = f"rpm-ostree {method}: {error or 'done'}"
        case AgentStarted() | AgentExited() | AgentSaid():
            return  # agents of other shells are not ours
        case _:
            assert_never(event)
    print(f"node: {text}", file=sys.stderr)
