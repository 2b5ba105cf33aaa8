"""What a worker may say of an OS: one that lies, talks, hangs or dies is believed nothing, and nothing is left."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import answer as answers
from mcd_rt.content import frames, osimage, repositorywriter
from mcd_rt.content.frames import ChunkFrame, DoneFrame, FileFrame, FilesFrame, ImageFrame, OsFrame, ProgressFrame
from mcd_rt.content.osimage import fetch_os
from mcd_rt.errors import Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.sim.osimages import write_machine_os_content
from tests.effects_double import EffectsDouble
from tests.integration.osimages import (
    PROMPT,
    SYSTEM,
    expect,
    left,
    refused,
    said,
    scripted,
)
from tests.leaks import run


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return HostPaths(tmp_path / "host")


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    return write_machine_os_content(tmp_path / "layout", SYSTEM, {"a.rpm": b"x"})


def test_one_that_is_cancelled_takes_its_worker_along_and_leaves_nothing(paths, image):
    async def cancelled() -> None:
        said_something = asyncio.Event()
        said = frames.encode(ImageFrame(image.digest, "amd64", "", "", Way.LAYOUT, "")) + frames.encode(
            ProgressFrame(1, 2)
        )
        asking = asyncio.create_task(
            fetch_os(
                EffectsDouble(),
                PROMPT,
                paths,
                image,
                (),
                lambda _done, _total: said_something.set(),
                worker_argv=scripted(said, "connection.recv(1)"),
            )
        )
        await said_something.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(cancelled())
    assert left(paths) == []


IMAGE = ImageFrame("sha256:" + "1" * 64, "amd64", "", "", Way.LAYOUT, "")
SAID_OS = OsFrame(OsImage("sha256:" + "1" * 64, OsForm.CONTAINER, "c" * 64, "1", "", "x86_64", ()))
OBJECT = f"objects/ab/{'0' * 62}.filez"
WAIT = "connection.recv(1)"
NAMES = ("kernel-rt-core",)
RPM = FileFrame("kernel-rt-core-1-1.x86_64.rpm", 9)
LIES = [
    (said(DoneFrame()), "sent DoneFrame before it said which image it found"),
    (said(IMAGE, DoneFrame()), "sent DoneFrame where a file or the OS was due"),
    (said(IMAGE, IMAGE), "sent ImageFrame where a file or the OS was due"),
    (said(IMAGE, RPM), "which is no part of a repository"),
    (said(IMAGE, SAID_OS, SAID_OS), "sent OsFrame where the end was due"),
    (said(IMAGE) + b'{"os": {"form": "other"}}\n', "sent what is not a frame"),
    (said(IMAGE, OsFrame(replace(SAID_OS.os, commit="../x"))), "commit: '../x' is not possible"),
    (b"x" * 70_000, "sent a line of more than 65536 bytes"),
    *(
        (said(IMAGE, announced), "which is no part of a repository")
        for name in ("config", "../x", "/etc/shadow", "objects/ab/x.filez", "refs/heads/../x", OBJECT + "\0", "")
        for announced in (FileFrame(name, 1), FilesFrame((FileFrame(name, 0),)))
    ),
    (said(IMAGE, FileFrame("refs/heads/a", 66)), "of 66 bytes, which is no part of a repository"),
    (said(IMAGE, FilesFrame((FileFrame(OBJECT, 1),)), b"a", FileFrame(OBJECT, 1)), f"sent {OBJECT}, which comes twice"),
    (said(IMAGE, FilesFrame((FileFrame(OBJECT, 0), FileFrame(OBJECT, 0)))), f"sent {OBJECT}, which comes twice"),
    (
        said(IMAGE, FilesFrame((FileFrame("refs/heads/a/b", 0), FileFrame("refs/heads/a", 0)))),
        "sent refs/heads/a, which is a file and a directory",
    ),
    (said(IMAGE, FilesFrame(())), "files: expected a list of 1 to 256"),
    (said(IMAGE, FilesFrame((FileFrame(OBJECT, 1 << 20),))), "size: expected 0 to 262144"),
    (
        said(IMAGE, FilesFrame((FileFrame(OBJECT, 1 << 18), FileFrame("refs/heads/a", 1)))),
        "expected at most 262144 bytes",
    ),
    (said(IMAGE) + b'{"files": [["refs/heads/a"]]}\n', "files: expected pairs of a name and a size"),
    (said(IMAGE, FileFrame(OBJECT, 9), ChunkFrame(0)), "sent no right chunk with 9 bytes of a file to come"),
    (said(IMAGE, FileFrame(OBJECT, 9), ChunkFrame(10)), "sent no right chunk with 9 bytes of a file to come"),
    (said(IMAGE, FileFrame(OBJECT, 9), DoneFrame()), "sent no right chunk with 9 bytes of a file to come"),
]


@pytest.mark.parametrize(("lies", "message"), LIES)
def test_a_worker_that_lies_is_not_believed(paths, image, lies, message):
    error = refused(paths, image, scripted(lies, WAIT))
    assert (error.failure.code, message in error.failure.message) == (Code.WORKER_FAILED, True), error.failure.message


LIES_ABOUT_PACKAGES = [
    (said(IMAGE, FileFrame("x.rpm", PROMPT.max_package_bytes + 1)), "more than 1073741824"),
    (said(IMAGE, *[FileFrame("x.rpm", 0)] * (PROMPT.max_packages + 1)), "sent more than 64 files"),
    (said(IMAGE, RPM, ChunkFrame(10)), "sent a chunk of 10 bytes with 9 bytes of a file to come"),
    (said(IMAGE, RPM, SAID_OS), "sent OsFrame with 9 bytes of a file to come"),
]


@pytest.mark.parametrize(("lies", "message"), LIES_ABOUT_PACKAGES)
def test_a_worker_that_lies_about_packages_is_not_believed(paths, image, lies, message):
    settings = replace(PROMPT, trust="digest-only")
    error = refused(paths, image, scripted(lies, WAIT), names=NAMES, settings=settings)
    assert (error.failure.code, message in error.failure.message) == (Code.WORKER_FAILED, True), error.failure.message


def test_an_os_that_is_not_in_the_repository_that_was_sent_is_none(paths, image):
    somewhere = OsFrame(replace(SAID_OS.os, form=OsForm.REPOSITORY))
    lies = said(IMAGE, FilesFrame((FileFrame(OBJECT, 0),)), somewhere, DoneFrame())
    error = refused(paths, image, scripted(lies, WAIT))
    expect(error, Code.IMAGE_UNREADABLE, f"has no commit {'c' * 64}, which is the OS of the image")


def test_more_than_the_cache_may_have_is_not_written(paths, image):
    settings = replace(PROMPT, max_cache_bytes=1000)
    worker = scripted(said(IMAGE, FileFrame(OBJECT, 1001)), WAIT)
    expect(refused(paths, image, worker, settings=settings), Code.CACHE_FULL, "may have 1000 more bytes")


def test_more_files_than_any_repository_has_are_not_written(paths, image, monkeypatch):
    monkeypatch.setattr(repositorywriter, "MAX_FILES", 10)
    monkeypatch.setattr(osimage, "MAX_FILES", 10)
    files = FilesFrame(tuple(FileFrame(OBJECT.replace("ab", f"{n:02}"), 0) for n in range(11)))
    effects = EffectsDouble()
    error = refused(paths, image, scripted(said(IMAGE, files), WAIT), effects=effects)
    assert "sent more than 10 files" in error.failure.message
    assert len(effects.subjects("create")) == 1
    expect(refused(paths, image), Code.IMAGE_TOO_LARGE, "the repository has more than 10 files")


def test_a_worker_that_talks_without_end_is_stopped(paths, image, monkeypatch):
    monkeypatch.setattr(answers, "_MAX_PROGRESS_FRAMES", 1000)
    noise = f"while True: connection.sendall({said(ProgressFrame(1, 2)) * 100!r})"
    error = refused(paths, image, scripted(said(IMAGE), noise))
    assert "said its progress more than 1000 times" in error.failure.message


@pytest.mark.parametrize(
    ("then", "message"),
    [("os._exit(3)", "ended with the exit status 3"), ("os.kill(os.getpid(), 9)", "was killed by SIGKILL")],
)
@pytest.mark.parametrize(
    "before",
    [
        b"",
        said(IMAGE, SAID_OS),
        said(IMAGE, FilesFrame((FileFrame(OBJECT, 9),)), b"abc"),
        said(IMAGE, FileFrame(OBJECT, 9), ChunkFrame(9), b"abc"),
        said(IMAGE, FilesFrame((FileFrame(OBJECT, 0),)), RPM, ChunkFrame(9), b"abc"),
    ],
)
def test_a_worker_that_dies_leaves_nothing(paths, image, before, then, message):
    settings = replace(PROMPT, trust="digest-only")
    error = refused(paths, image, scripted(before, then), names=NAMES, settings=settings)
    expect(error, Code.WORKER_FAILED, f"{message} before its answer was complete")


@pytest.mark.parametrize("deadline", ["idle_timeout", "fetch_timeout"])
def test_a_worker_that_hangs_is_given_up(paths, image, deadline):
    error = refused(paths, image, scripted(said(IMAGE), WAIT), settings=replace(PROMPT, **{deadline: 0.3}))
    expect(error, Code.WORKER_TIMEOUT, " 0.3 s")
