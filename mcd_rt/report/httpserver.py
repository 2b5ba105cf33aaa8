"""As much of HTTP/1.1 as a scrape needs: one GET a connection, bounded in size, number and time.

A client that is silent, slow or endless costs a bounded buffer until its deadline, and nobody else anything. There
is no thread, and no timer while nobody is connected.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from http import HTTPStatus

from mcd_rt.frozen import frozen

_HEAD = 8192
_CLIENTS = 16
_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!-9;-~]+):([\t -~\x80-\xff]*)")


@frozen
class Request:
    """A GET: ``path`` and ``query`` as sent, ``accept`` the media types the client takes."""

    path: str
    query: str
    accept: str


@frozen
class Response:
    """What is answered; ``fields`` are header fields besides those every answer has."""

    status: HTTPStatus
    body: bytes
    fields: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain; charset=utf-8"})


Answer = Callable[[Request], Awaitable[Response]]


class HttpServer:
    """Serves a listening socket, which becomes its own, until it is closed."""

    def __init__(self, answer: Answer, patience: float) -> None:
        """``patience`` is how many seconds a connection may last in all."""
        self._answer = answer
        self._patience = patience
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Begin to serve."""
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=_HEAD)

    async def close(self) -> None:
        """Stop, and drop whoever is connected."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted in the turn of the loop that closed us
            writer.transport.abort()
            return

        def forget(client: asyncio.Task[None]) -> None:
            self._clients.discard(client)
            writer.transport.abort()  # what was not taken by now is not waited for

        client = asyncio.create_task(self._serve(reader, writer, crowded=len(self._clients) >= _CLIENTS))
        self._clients.add(client)
        client.add_done_callback(forget)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, crowded: bool) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # so that to drain is to have handed over all of it
        with suppress(TimeoutError, OSError, asyncio.IncompleteReadError):  # slow, gone, or half a request
            async with asyncio.timeout(self._patience):
                writer.write(_BUSY if crowded else await self._respond(reader))
                await writer.drain()

    async def _respond(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _encoded(refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        line, *lines = head[:-4].split(b"\r\n")
        asked, fields = _REQUEST.fullmatch(line), [_FIELD.fullmatch(line) for line in lines]
        if asked is None or None in fields:
            return _encoded(refusal(HTTPStatus.BAD_REQUEST))
        method, target = asked[1], asked[2].decode("ascii")
        if method not in (b"GET", b"HEAD"):
            return _encoded(refusal(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD"))
        path, _, query = target.partition("?")
        accept = b",".join(found[2] for found in fields if found and found[1].lower() == b"accept")
        response = await self._answer(Request(path, query, accept.decode("latin-1")))
        return _encoded(response, with_body=method == b"GET")


def refusal(status: HTTPStatus, **fields: str) -> Response:
    """A response that only says its status."""
    plain = Response(status, f"{status.phrase}\n".encode())
    return replace(plain, fields={**plain.fields, **fields})


def _encoded(response: Response, *, with_body: bool = True) -> bytes:
    status = response.status
    fields = {**response.fields, "Content-Length": str(len(response.body)), "Connection": "close"}
    lines = (f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items()))
    return "\r\n".join((*lines, "", "")).encode() + (response.body if with_body else b"")


_BUSY = _encoded(refusal(HTTPStatus.SERVICE_UNAVAILABLE))
