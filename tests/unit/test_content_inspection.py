"""Packages are inspected some at a time, told in their order, and dropped together when one of them is bad."""

import socket
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
    with leaves_nothing(), ours, theirs, Path("/dev/null").open("rb") as file:
        for start in range(0, len(NAMES), frames.DESCRIPTORS_AT_ONCE):
            batch = NAMES[start : start + frames.DESCRIPTORS_AT_ONCE]
            socket.send_fds(ours, [b"\0"], [file.fileno()] * len(batch))
        inspect_packages(theirs, InspectRequest(NAMES))
        theirs.close()
        said = ours.makefile("rb").read()
    found = [frames.decode(line) for line in said.splitlines()]
    return [frame.nevra.name for frame in found if isinstance(frame, PackageFrame)]


def test_the_answers_are_in_the_order_of_the_files(inspections):
    assert inspect_all() == list(NAMES)
    assert inspections.left == len(NAMES)


def test_one_is_begun_before_the_one_before_is_done_and_not_all_at_once(inspections):
    inspect_all()
    assert 1 < inspections.unfinished_at_most < frames.DESCRIPTORS_AT_ONCE


def test_a_bad_one_ends_those_that_were_begun(inspections):
    inspections.bad = NAMES[5]
    with pytest.raises(AgentError) as caught:
        inspect_all()
    assert caught.value.failure.message == NAMES[5]
    assert inspections.finished == list(NAMES[:5])
    assert inspections.left == len(inspections.begun) < len(NAMES)
