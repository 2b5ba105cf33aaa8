"""A network of a test host's own that outlives its reboots, and programs in it that are not the host's."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.system.host.groups import in_groups
from tests.system.host.machine import Machine

_HOLD = "ip link set lo up 2>/dev/null || true; echo up; exec sleep infinity"


@dataclass
class Network:
    """Use ``own_network``. ``enter`` is what a command begins with that shall be in it."""

    machine: Machine
    stack: ExitStack
    enter: tuple[str, ...] = ()

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Run a program in it until the block ends; it is in the machine's control groups, for the keeper to find."""
        process = self.stack.enter_context(
            subprocess.Popen(
                in_groups(self.machine.groups, [*self.enter, *command]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
        self.stack.callback(process.kill)
        return process


@contextmanager
def own_network(machine: Machine) -> Iterator[Network]:
    """Give a machine that is off a network with nothing in it but a loopback."""
    with ExitStack() as stack:
        network = Network(machine, stack)
        holder = network.start("unshare", "--net", "sh", "-c", _HOLD)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        machine.options.append(f"--network-namespace-path=/proc/{holder.pid}/ns/net")
        network.enter = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
        yield network
