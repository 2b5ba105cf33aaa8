"""The conversation of agent and worker, both directions, and that of a worker with skopeo's proxy."""

import asyncio
import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterable
from functools import cache

from mcd_rt.content import frames
from mcd_rt.content.blob import Descriptor
from mcd_rt.content.cache import entry_of
from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.frames import InspectRequest
from mcd_rt.content.proxy import Proxy
from mcd_rt.content.worker import serve
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.image import build_rpm
from tests.fuzz.places import Talk, finish, fresh_directory, say, serving
from tests.fuzz.verdict import documented

SEPARATOR = b"\n\0\n"
DIGEST = "sha256:" + "a" * 64
NAMES = ("kernel-rt-core",)
PIPE = b"|"
"""How a line begins that is what comes through a pipe, whose descriptor goes with the next line."""

_NAMELESS = 0x80  # a byte from here on stands for descriptors as those of keys come: without a name
_PATIENCE = 2.0
_SETTINGS = ContentSettings(
    worker="socket", trust="digest-only", idle_timeout=_PATIENCE, fetch_timeout=_PATIENCE, max_package_bytes=1 << 20
)
_ENDINGS = ("image-", "package-", "worker-", "cache-")


def answers(data: bytes) -> None:
    """Two hostile workers: what the first and the second say. The cache has all that was promised, or no entry."""
    with fresh_directory() as root, documented(_ENDINGS):
        paths = HostPaths(root)
        try:
            content = finish(_fetched(paths, data))
        except AgentError:
            assert not entry_of(paths, DIGEST).exists()
            raise
        for package in content.packages:
            assert package.nevra.name in NAMES
            stored = (entry_of(paths, DIGEST) / package.file).read_bytes()
            assert hashlib.sha256(stored).hexdigest() == package.sha256


async def _fetched(paths: HostPaths, data: bytes) -> Content:
    image = ImageReference("/image", "", DIGEST, layout=True)
    async with talking_workers(paths, data):
        return await fetch_content(
            HostEffects(), _SETTINGS, paths, image, NAMES, lambda _done, _total: None, architecture="x86_64"
        )


@contextlib.asynccontextmanager
async def talking_workers(paths: HostPaths, data: bytes) -> AsyncIterator[None]:
    """What the worker says that fetches, and, after the separator, the one that inspects."""
    fetch, _, inspect = data.partition(SEPARATOR)
    async with contextlib.AsyncExitStack() as stack:
        for path, said in (("/run/mcd-rt-fetch.sock", fetch), ("/run/mcd-rt-inspect.sock", inspect)):
            await stack.enter_async_context(serving(paths.below(path), saying(said)))
        yield


def saying(said: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await say(writer, said)
        await reader.read()

    return talk


def request(data: bytes) -> None:
    """A hostile agent: a request, then descriptors of a package, some with a name, as the bytes after it say."""
    line, newline, rest = data.partition(b"\n")
    with documented(("worker-failed",)):
        asked = frames.decode_request(line[: frames.LINE])
        if not isinstance(asked, InspectRequest) or asked.signed:
            return  # both start programs of the host, whose arguments are the agent's to choose
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile(buffering=0) as file:
        file.write(_package())
        ours.sendall(line + newline)
        for number in rest[:8]:
            if number < _NAMELESS:
                ours.sendall(frames.encode_name("a.rpm"))
            socket.send_fds(ours, [b"\0"], [file.fileno()] * (number % _NAMELESS % 20))
        ours.shutdown(socket.SHUT_WR)
        with documented(("worker-failed",)):
            serve(theirs)
        theirs.shutdown(socket.SHUT_WR)
        for answer in _lines(ours):
            frames.decode(answer)


def _lines(connection: socket.socket) -> Iterable[bytes]:
    said = b""
    with contextlib.suppress(ConnectionResetError):  # it left before it had taken everything
        while data := connection.recv(1 << 16):
            said += data
    return said.splitlines()


@cache
def _package() -> bytes:
    return build_rpm(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), kernel_release="1", payload=b"x")


def proxy(data: bytes) -> None:
    """skopeo's proxy, or who stands in for it: a packet a line, some with the end of a pipe."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, documented(("image-", "worker-failed")):
        _send_packets(theirs, data)
        theirs.shutdown(socket.SHUT_WR)
        talk = Proxy(ours, _PATIENCE, "registry.example/os")
        assert all(number >= 0 for number in talk.initialize())
        image = talk.open_image("docker://registry.example/os")
        assert len(talk.manifest(image, 4096)) <= 4096
        with talk.blob(image, Descriptor("", DIGEST, 64)) as blob:
            while blob.read(64):
                pass


def _send_packets(connection: socket.socket, data: bytes) -> None:
    connection.setblocking(False)
    piped: list[int] = []
    for line in data.split(b"\n")[:64]:
        if line.startswith(PIPE):
            piped.append(_pipe_of(line.removeprefix(PIPE)))
            continue
        with contextlib.suppress(BlockingIOError):  # more than the socket holds
            socket.send_fds(connection, [line[: 48 * 1024]], piped)
        while piped:
            os.close(piped.pop())
    for descriptor in piped:
        os.close(descriptor)


def _pipe_of(content: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, content[:65536])
    os.close(writing)
    return reading
