"""A FleetLock server for tests, which can also be down, slow, full, or something else altogether."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

FULL = b'{"kind": "failed_lock_semaphore_full", "value": "all slots are locked already"}'


@dataclass
class LockServer:
    """``holders`` have one of its ``slots``; ``asked`` is what was asked: the path, and the id.

    ``answer`` takes the place of what it would say: raw bytes of a response. ``silent``: it says nothing at all.
    """

    slots: int = 1
    port: int = 0
    secure: bool = False
    address: str = "127.0.0.1"
    holders: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    answer: bytes = b""
    silent: bool = False

    @property
    def url(self) -> str:
        return f"http{'s' if self.secure else ''}://{self.address}:{self.port}/base"

    def settings(self, more: str = "") -> str:
        return f'[reboot]\nstrategy = "fleet-lock"\n[reboot.fleet_lock]\nurl = "{self.url}"\nid = "node-1"\n{more}'

    def judge(self, path: str, head: bytes, body: bytes) -> bytes:
        parameters = json.loads(body)["client_params"]
        assert b"\r\nfleet-lock-protocol: true\r\n" in head
        assert parameters["group"]
        name = parameters["id"]
        self.asked.append((path, name))
        if self.answer:
            return self.answer
        if path == "/base/v1/pre-reboot":
            if name not in self.holders and len(self.holders) >= self.slots:
                return response("409 Conflict", FULL)
            self.holders = [*dict.fromkeys([*self.holders, name])]
        elif path == "/base/v1/steady-state":
            self.holders = [holder for holder in self.holders if holder != name]
        else:
            return response("404 Not Found")
        return response("200 OK")


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def lock_server(
    tls: ssl.SSLContext | None = None, kind: type[LockServer] = LockServer, address: str = "127.0.0.1"
) -> AsyncIterator[LockServer]:
    server = kind(secure=tls is not None, address=address)
    going = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            body = await reader.readexactly(size)
            if server.silent:
                await going.wait()
                return
            writer.write(server.judge(head.split()[1].decode(), head, body))
            await writer.drain()

    listening = await asyncio.start_server(serve, address, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        going.set()
        listening.close()
        await listening.wait_closed()
