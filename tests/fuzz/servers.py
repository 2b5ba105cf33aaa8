"""Whoever can open the agent's sockets: the control socket, from both its ends, and the metrics."""

import asyncio
import contextlib
import json
import socket
from http import HTTPStatus
from pathlib import Path

from mcd_rt.control import Feed, Reply, Verb, ask_agent, follow_agent, serve_control
from mcd_rt.effects import HostEffects
from mcd_rt.report.httpserver import HttpServer, Request, Response
from tests.fuzz.places import finish, fresh_directory, say, serving
from tests.fuzz.verdict import documented

_PATIENCE = 2.0


def control(data: bytes) -> None:
    """A client of the control socket: what it is answered is one JSON object a line, each with its verdict."""
    with fresh_directory() as root:
        said = finish(_controlled(root / "control.sock", data))
    for line in said.splitlines():
        assert isinstance(json.loads(line), dict)


async def _controlled(path: Path, data: bytes) -> bytes:
    async def answer(verb: Verb, seconds: float | None) -> Reply:
        return Reply(ok=True, text=f"{verb} {seconds}")

    async with serve_control(HostEffects(), path, answer, Feed(lambda: b'{"state": "steady"}\n')):
        return await _said(path, data)


def control_answers(data: bytes) -> None:
    """Somebody else on the control socket: what ``mcd-rt retry`` and ``mcd-rt status --follow`` make of it."""
    with fresh_directory() as root:
        finish(_asked(root / "control.sock", data))


async def _asked(path: Path, data: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await say(writer, data)
        await reader.read()

    async with serving(path, talk):
        with documented(("control-", "agent-not-running")):
            reply = await ask_agent(path, Verb.RETRY, _PATIENCE)
            assert isinstance(reply.ok, bool)
            assert reply.text.encode() or not reply.text
        with documented(("control-", "agent-not-running")):
            async with contextlib.aclosing(follow_agent(path)) as lines:
                async for line in lines:
                    assert line


def http(data: bytes) -> None:
    """A client of the metrics: it is answered in HTTP, or not at all."""
    with fresh_directory() as root:
        said = finish(_scraped(root / "metrics.sock", data))
    head, _, _ = said.partition(b"\r\n")
    assert not said or head.startswith(b"HTTP/1.1 "), head[:80]


async def _scraped(path: Path, data: bytes) -> bytes:
    async def answer(request: Request) -> Response:
        return Response(HTTPStatus.OK, f"{request.path} {request.query} {request.accept}".encode())

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    server = HttpServer(answer, _PATIENCE)
    await server.start(listening)
    try:
        return await _said(path, data)
    finally:
        await server.close()


async def _said(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    said = b""
    with contextlib.suppress(OSError):
        writer.write(data)
        writer.write_eof()
        while more := await reader.read(1 << 16):
            said += more
    writer.transport.abort()
    return said
