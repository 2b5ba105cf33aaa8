"""Packages are inspected some at a time, told in their order, and dropped together when one of them is bad."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcd_rt.content import frames, inspection
from mcd_rt.content.frames import InspectRequest, PackageFrame
from mcd_rt.content.inspection import inspect_packages
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.nevra import Nevra
from tests.leaks import leaves_nothing

NAMES = tuple(f"{number}.rpm" for number in range(20))


class Inspections:
    """Stands in for ``rpm.inspecting``: every file is a package with its own name, one of them may be bad."""

    def __init__(self, bad: str = "") -> None:
        self.bad = bad
        self.begun: list[str] = []
        self.finished: list[str] = []
        self.unfinished_at_most = 0
        self.left = 0

    @contextmanager
    def __call__(self, descriptor: int, path: str, trust: object) -> Iterator[Callable[[], PackageFrame]]:
        self.begun.append(path)
        self.unfinished_at_most = max(self.unfinished_at_most, len(self.begun) - len(self.finished))

        def finish() -> PackageFrame:
            if path == self.bad:
                raise AgentError(Code.PACKAGE_CORRUPT, path, "none")
            self.finished.append(path)
            return PackageFrame(Nevra(path, 0, "1", "1", "x86_64"), "", (), ())

        try:
            yield finish
        finally:
            self.left += 1


@pytest.fixture
def inspections(monkeypatch: pytest.MonkeyPatch) -> Inspections:
    stand_in = Inspections()
    monkeypatch.setattr(inspection, "inspecting", stand_in)
    return stand_in


def inspect_all() -> list[str]:
    ours, theirs = socket.socketpair()
    with leaves_nothing(), ours, theirs:
        for name in NAMES:
            send(ours, name)
        ours.shutdown(socket.SHUT_WR)
        inspect_packages(theirs, InspectRequest())
        theirs.close()
        said = ours.makefile("rb").readlines()
    return list(map(name_of, said))


def send(connection: socket.socket, name: str) -> None:
    connection.sendall(frames.encode_name(name))
    with Path("/dev/null").open("rb") as file:
        socket.send_fds(connection, [b"\0"], [file.fileno()])


def name_of(line: bytes) -> str:
    frame = frames.decode(line)
    assert isinstance(frame, PackageFrame)
    return frame.nevra.name


def test_the_answers_are_in_the_order_of_the_files(inspections):
    assert inspect_all() == list(NAMES)
    assert inspections.left == len(NAMES)


def test_one_is_begun_before_the_one_before_is_done_and_not_all_at_once(inspections):
    inspect_all()
    assert 1 < inspections.unfinished_at_most < frames.DESCRIPTORS_AT_ONCE


def test_what_a_file_is_is_said_before_the_next_one_comes(inspections):
    ours, theirs = socket.socketpair()
    with leaves_nothing(), ours, theirs:
        inspecting = threading.Thread(target=inspect_packages, args=(theirs, InspectRequest()))
        inspecting.start()
        said = ours.makefile("rb")
        for name in NAMES[:3]:
            send(ours, name)
            assert name_of(said.readline()) == name
        ours.shutdown(socket.SHUT_WR)
        inspecting.join()
        said.close()
    assert inspections.left == 3


def test_more_files_than_there_may_be_are_refused(inspections, monkeypatch):
    monkeypatch.setattr(inspection, "MAX_FILES", 3)
    with pytest.raises(AgentError, match="the worker was sent more than 3 files"):
        inspect_all()
    assert inspections.left == 3


def test_a_bad_one_ends_those_that_were_begun(inspections):
    inspections.bad = NAMES[5]
    with pytest.raises(AgentError) as caught:
        inspect_all()
    assert caught.value.failure.message == NAMES[5]
    assert inspections.finished == list(NAMES[:5])
    assert inspections.left == len(inspections.begun) < len(NAMES)
