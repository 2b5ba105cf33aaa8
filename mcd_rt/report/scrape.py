"""Ask a running agent for its metrics, as Prometheus does."""

import asyncio
import contextlib

from mcd_rt.model.listen import TcpAddress, UnixAddress

_REQUEST = b"GET /metrics HTTP/1.0\r\nHost: mcd-rt\r\nAccept: text/plain\r\n\r\n"
_MAX = 4 << 20


async def scrape(address: TcpAddress | UnixAddress) -> str:
    """The text that is served there, at most 4 MiB; raises ``OSError`` where nobody listens."""
    match address:
        case TcpAddress(host, port):
            reader, writer = await asyncio.open_connection(host, port, limit=_MAX)
        case UnixAddress(path):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MAX)
    with contextlib.closing(writer):
        writer.write(_REQUEST)
        answer = b""
        while len(answer) < _MAX and (more := await reader.read(_MAX)):
            answer += more
    return answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
