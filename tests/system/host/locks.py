"""A FleetLock server beside a test host, over TLS, that tells what it is asked: one line each."""

import asyncio
import json
import select
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.integration.lockserver import LockServer, lock_server
from tests.system.host.machine import Machine
from tests.system.host.network import own_network
from tests.system.patience import PATIENCE
from tests.system.registry import Authority


@dataclass
class Locks:
    """Use ``granting``."""

    url: str
    _told: "subprocess.Popen[bytes]"

    def wait_for(self, endpoint: str, timeout: float = PATIENCE) -> tuple[str, list[str]]:
        """The next time this was asked: the name of who did, and whoever has a slot from then on."""
        deadline = time.monotonic() + timeout
        while True:
            path, name, holders = json.loads(_line(self._told, deadline - time.monotonic()))
            if path == f"/base/v1/{endpoint}":
                return name, holders


@contextmanager
def granting(machine: Machine, authority: Authority) -> Iterator[Locks]:
    """Give a machine that is off a network with such a server in it."""
    with own_network(machine) as network:
        certificate = (str(authority.server_certificate), str(authority.server_key))
        told = network.start(sys.executable, "-m", "tests.system.host.locks", *certificate)
        yield Locks(json.loads(_line(told, PATIENCE)), told)


def _line(told: "subprocess.Popen[bytes]", timeout: float) -> bytes:
    assert told.stdout is not None
    ready, _, _ = select.select([told.stdout], [], [], max(0.0, timeout))
    assert ready, "the lock server is not asked"
    line = told.stdout.readline()
    assert line, "the lock server is gone"
    return line


def _tell(*what: object) -> None:
    print(json.dumps(what[0] if len(what) == 1 else what), flush=True)


class _Telling(LockServer):
    def judge(self, path: str, head: bytes, body: bytes) -> bytes:
        answer = super().judge(path, head, body)
        _tell(*self.asked[-1], self.holders)
        return answer


async def _serve(certificate: str, key: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with lock_server(tls, _Telling) as server:
        _tell(server.url)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
