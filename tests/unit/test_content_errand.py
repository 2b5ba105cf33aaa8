"""A worker behind a socket is lent the first pull secret that can be opened, and asked without one where none can."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mcd_rt.content.conversation import Command, Listening, conversation
from mcd_rt.content.errand import Question, ask, request_for, secrets_for
from mcd_rt.content.frames import Extent
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from tests.effects_double import EffectsDouble

NOBODY = 65534
IMAGE = ImageReference.parse("registry.example/os@sha256:" + "1" * 64)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for everybody, which those of pytest are not."""
    with TemporaryDirectory(prefix="mcd-rt-tests-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


@contextmanager
def nobody(*forbidden: Path) -> Iterator[None]:
    """As the agent's own user: what is root's is not for it. Who is not root takes the rights from himself."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    modes = [(path, path.stat().st_mode) for path in forbidden]
    for path, _ in modes:
        path.chmod(0)
    try:
        yield
    finally:
        for path, mode in reversed(modes):
            path.chmod(mode)


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def lent(place: Path, secrets: Sequence[Path]) -> str | None:
    """What a worker behind a socket was lent; ``None`` where it was told that nothing comes."""
    heard: list[str | None] = []
    settings = ContentSettings(authfile=tuple(map(str, secrets)))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
        (place / "socket").chmod(0o666)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                line = bytearray()
                while not line.endswith(b"\n"):
                    line += connection.recv(1)
                if not json.loads(line)["lent"]:
                    heard.append(None)
                    return
                _, received, _, _ = socket.recv_fds(connection, 1, 1)
                with os.fdopen(received[0]) as given:
                    heard.append(given.read())

        async def errand() -> None:
            worker, paths = Listening(place / "socket"), HostPaths(Path("/"))
            request = request_for(Question(IMAGE, (), "x86_64", Extent.KERNEL, "/var/tmp"), settings, paths)
            async with conversation(EffectsDouble(), worker, 20) as talk:
                await ask(talk, request, secrets_for(worker, IMAGE, request))

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            asyncio.run(errand())
        finally:
            serving.join()
    return heard[0]


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_secret_that_only_root_may_read_is_left_to_who_lends_it(place, mode):
    """``LoadCredential`` has given it to the worker already: that the agent cannot is no failure."""
    secret = write(place / "kubelet/config.json", '{"auths": {"x": {}}}', 0o600)
    secret.parent.chmod(mode)
    with nobody(secret, secret.parent):
        assert lent(place, (secret,)) is None


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_the_next_secret_is_lent_where_the_first_is_not_for_the_agent(place, mode):
    secret = write(place / "kubelet/config.json", '{"auths": {"x": {}}}', 0o600)
    secret.parent.chmod(mode)
    other = write(place / "other/auth.json", '{"auths": {"y": {}}}')
    with nobody(secret, secret.parent):
        assert lent(place, (secret, other)) == '{"auths": {"y": {}}}'


def test_what_is_no_secret_is_not_lent(place):
    (place / "directory").mkdir()
    os.mkfifo(place / "pipe")
    nothing = [place / "absent", place / "directory", place / "pipe"]
    empty = [write(place / "empty", ""), write(place / "object", "{}\n"), write(place / "blank", "\n \n")]
    assert lent(place, (*nothing, *empty)) is None
    (place / "socket").unlink()
    assert lent(place, (*nothing, *empty, write(place / "full", '{"auths":{}}'))) == '{"auths":{}}'


def test_a_child_and_a_layout_need_none():
    settings, paths = ContentSettings(), HostPaths(Path("/"))
    request = request_for(Question(IMAGE, (), "x86_64", Extent.KERNEL, "/var/tmp"), settings, paths)
    assert secrets_for(Command((), {}), IMAGE, request) == ()
    layout = ImageReference.parse("oci:/opt/layout:rt")
    assert secrets_for(Listening(Path("/run/x")), layout, request) == ()
