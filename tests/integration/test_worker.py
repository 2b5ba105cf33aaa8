"""Fetching with real worker processes: whatever they do, the cache has the whole content or nothing."""

import asyncio
import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from mcd_rt.content import answer as answers
from mcd_rt.content import cache, conversation, frames
from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.frames import ChunkFrame, DoneFrame, FileFrame, PackageFrame, ProgressFrame
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Compression, Layer, build_rpm, kernel_rt_packages, put_blob, write_layout
from tests.effects_double import EffectsDouble, Killed
from tests.leaks import leaves_nothing, run

PYTHON = (sys.executable, "-I", "-S", "-c")
WORKER = (sys.executable, "-c", "import mcd_rt.content.worker as w; raise SystemExit(w.serve_standard_input())")
NAMES = ("kernel-rt-core", "kernel-rt-modules", "kernel-rt-modules-core", "kernel-rt-modules-extra", "kernel-rt-kvm")
EL8 = kernel_rt_packages("4.18.0", "147.0.3.rt24.95.el8_1", "x86_64", 8, payload_bytes=300_000)
EL9 = kernel_rt_packages("5.14.0", "284.30.1.rt14.315.el9_2", "x86_64", 9, payload_bytes=300_000)
CORE = next(iter(EL9.values()))
PROMPT = ContentSettings(idle_timeout=20, fetch_timeout=20)


def host(root: Path) -> HostPaths:
    """A host that knows the key of the simulated packages."""
    write_keys(root)
    return HostPaths(root)


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return host(tmp_path / "host")


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    return layout(tmp_path, Layer({"srv/repo/x": b"x"}), extensions(EL9))


def layout(tmp_path: Path, *layers: Layer) -> ImageReference:
    return write_layout(tmp_path / "layout", layers, tag="rt", architecture="x86_64")


def extensions(packages: dict[str, bytes], compression: Compression = Compression.GZIP) -> Layer:
    return Layer({f"usr/share/rpm-ostree/extensions/{name}": data for name, data in packages.items()}, compression)


def fetched(
    paths: HostPaths,
    image: ImageReference,
    worker: tuple[str, ...] = WORKER,
    *,
    settings: ContentSettings = PROMPT,
    effects: EffectsDouble | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Content:
    return run(
        fetch_content(
            effects or EffectsDouble(),
            settings,
            paths,
            image,
            NAMES,
            on_progress,
            worker_argv=worker,
            architecture="x86_64",
        )
    )


def refused(paths: HostPaths, image: ImageReference, worker: tuple[str, ...] = WORKER, **how: object) -> AgentError:
    """The failure of a fetch, which leaves nothing: no entry, no file, no descriptor, no child."""
    with leaves_nothing(), pytest.raises(AgentError) as caught:
        fetched(paths, image, worker, **how)
    assert not paths.cache.exists() or list(paths.cache.iterdir()) == []
    return caught.value


def expect(error: AgentError, code: Code, message: str) -> None:
    assert error.failure.code is code
    assert message in error.failure.message
    assert error.failure.hint


def scripted(answer: bytes, then: str = "", *, phase: str = "fetch") -> tuple[str, ...]:
    """A worker that answers one kind of request with these bytes, the other as it should, where there is no file."""
    otherwise = {
        "fetch": f"while connection.recv(65536): pass\n    connection.sendall({said(DoneFrame())!r})",
        "inspect": "from mcd_rt.content.worker import serve\n    serve(connection)",
    }[phase]
    code = f"""
import os, socket
connection = socket.socket(fileno=os.dup(0))
request = connection.recv(65536, socket.MSG_PEEK)
if b'"op":"{phase}"' in request:
    connection.recv(request.index(b"\\n") + 1)
    connection.sendall({answer!r})
    {then}
else:
    {otherwise}
"""
    return (*(PYTHON if phase == "fetch" else (sys.executable, "-c")), code)


def said(*parts: object) -> bytes:
    return b"".join(part if isinstance(part, bytes) else frames.encode(part) for part in parts)


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize(("packages", "place"), [(EL8, ""), (EL8, "extensions/"), (EL9, "extensions/x86_64/rt/")])
def test_packages_arrive_whole_with_what_their_headers_say(tmp_path, paths, packages, place, compression):
    entries = {f"{place}{name}": data for name, data in packages.items()}
    image = layout(tmp_path, Layer({"srv/repo/x": b"x"}), Layer(entries, compression))
    progress = []
    content = fetched(paths, image, on_progress=lambda done, total: progress.append((done, total)))
    assert content.digest == image.digest
    assert {f"{package.nevra}.rpm" for package in content.packages} == set(packages)
    for package in content.packages:
        data = (cache.entry_of(paths, image.digest) / package.file).read_bytes()
        assert data == packages[f"{package.nevra}.rpm"]
        assert (package.size, package.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert package.kernel_release.endswith(".x86_64" if packages is EL8 else ".x86_64+rt")
    assert cache.load(paths, image.digest, NAMES) == content
    assert progress[0][0] == 0
    assert progress[-1][0] == progress[-1][1]
    with cache.open_packages(EffectsDouble(), paths, image.digest, content.packages) as descriptors:
        assert len(descriptors) == len(packages)


def test_every_file_is_durable_before_the_manifest_says_that_it_is_there(paths, image):
    effects = EffectsDouble()
    content = fetched(paths, image, effects=effects)
    entry = cache.entry_of(paths, image.digest)
    order = [(effect.kind, effect.subject) for effect in effects.attempted]
    manifest = order.index(("rename", str(entry / "content.json")))
    assert all(order.index(("fsync", str(entry / package.file))) < manifest for package in content.packages)


def test_an_image_without_kernel_rt_is_content_without_packages(tmp_path, paths):
    image = layout(tmp_path, Layer({"kernel-devel.rpm": build_rpm(Nevra("kernel-devel", 0, "1", "1", "x86_64"))}))
    content = fetched(paths, image)
    assert (content.packages, content.trusted_by) == ((), Judge.NOBODY)
    assert cache.load(paths, image.digest, NAMES) == content


def test_the_same_package_in_two_places_is_one(tmp_path, paths):
    image = layout(tmp_path, Layer({"a.rpm": CORE, "extensions/b.rpm": CORE}))
    assert [package.nevra.name for package in fetched(paths, image).packages] == ["kernel-rt-core"]
    assert sorted(path.name for path in cache.entry_of(paths, image.digest).iterdir()) == ["0.rpm", "content.json"]


def test_two_versions_of_a_package_are_both_told(tmp_path, paths):
    newer = kernel_rt_packages("5.14.0", "362.rt14.el9_3", "x86_64", 9, ("core",))
    content = fetched(paths, layout(tmp_path, extensions(EL9), extensions(newer)))
    assert [package.nevra.release for package in content.packages if package.nevra.name == "kernel-rt-core"] == [
        "284.30.1.rt14.315.el9_2",
        "362.rt14.el9_3",
    ]


def test_more_packages_than_fit_in_a_batch_are_inspected(tmp_path, paths):
    entries = {}
    for n in range(20):
        nevra = Nevra("kernel-rt-core", 0, "5.14.0", f"{n:02}", "x86_64")
        entries[f"{nevra}.rpm"] = build_rpm(nevra)
    content = fetched(paths, layout(tmp_path, Layer(entries)))
    assert [package.nevra.release for package in content.packages] == [f"{n:02}" for n in range(20)]


def test_a_package_is_inspected_while_others_still_arrive(tmp_path, paths, image):
    """The worker that fetches ends its answer only when the other one has been given a file, or after the deadline."""
    os.mkfifo(given := tmp_path / "given")
    core = build_rpm(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"))
    answer = said(FileFrame("core.rpm", len(core)), ChunkFrame(len(core)), core)
    code = f"""
import os, socket
from mcd_rt.content import inspection, worker
connection = socket.socket(fileno=os.dup(0))
if b'"op":"fetch"' in connection.recv(65536, socket.MSG_PEEK):
    connection.sendall({answer!r})
    open({str(given)!r}).close()
    connection.sendall({said(DoneFrame())!r})
else:
    begun = inspection.inspecting
    inspection.inspecting = lambda *given: (open({str(given)!r}, "w").close(), begun(*given))[1]
    worker.serve(connection)
"""
    content = fetched(paths, image, (sys.executable, "-c", code))
    assert [package.nevra.name for package in content.packages] == ["kernel-rt-core"]


def test_a_fetch_replaces_what_was_there(paths, image):
    entry = cache.entry_of(paths, image.digest)
    entry.mkdir(parents=True)
    (entry / "0.rpm").write_bytes(b"left by a crash")
    content = fetched(paths, image)
    assert fetched(paths, image) == content
    assert len(list(entry.iterdir())) == len(EL9) + 1


def test_a_child_gets_nothing_that_connects_the_agent_to_its_services(paths, image, monkeypatch):
    services = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "DBUS_SYSTEM_BUS_ADDRESS", "LISTEN_FDS")
    for name in (*services, "ORDINARY"):
        monkeypatch.setenv(name, "probe")
    count = "import os; os._exit(list(os.environ.values()).count('probe'))"
    expect(refused(paths, image, (*PYTHON, count)), Code.WORKER_FAILED, "ended with the exit status 1")


def test_credentials_are_for_the_worker_that_fetches_and_not_for_the_other(paths, image, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "probe")
    code = """
import os, socket
from mcd_rt.content.worker import serve
connection = socket.socket(fileno=os.dup(0))
fetching = b'"op":"fetch"' in connection.recv(65536, socket.MSG_PEEK)
if fetching is not ("CREDENTIALS_DIRECTORY" in os.environ):
    os._exit(3)
serve(connection)
"""
    assert len(fetched(paths, image, (sys.executable, "-c", code)).packages) == len(EL9)


def test_an_image_without_a_digest_is_not_fetched(paths, image):
    effects = EffectsDouble()
    error = refused(paths, replace(image, digest=""), effects=effects)
    expect(error, Code.IMAGE_NOT_PINNED, "names no digest")
    assert effects.attempted == []


# Who is trusted


def test_who_judged_the_signatures_is_said_and_kept(paths, image):
    content = fetched(paths, image)
    assert content.trusted_by is (Judge.RPMKEYS if which("rpmkeys") else Judge.RPM_RS)
    assert (content.way, content.way_reason) == (Way.LAYOUT, "it is a layout on disk")
    assert cache.load(paths, image.digest, NAMES) == content


def test_where_the_host_has_no_rpm_the_library_judges(paths, image, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetched(paths, image).trusted_by is Judge.RPM_RS


def test_an_unsigned_package_leaves_nothing(tmp_path, paths):
    unsigned = kernel_rt_packages("5.14.0", "1.el9", "x86_64", 9, secret_key="")
    error = refused(paths, layout(tmp_path, extensions(unsigned)))
    expect(error, Code.PACKAGE_UNSIGNED, "has no signature of its header")


def test_digest_only_takes_unsigned_packages_and_says_that_nobody_judged(tmp_path, paths):
    unsigned = kernel_rt_packages("5.14.0", "1.el9", "x86_64", 9, secret_key="")
    image = layout(tmp_path, extensions(unsigned))
    content = fetched(paths, image, settings=replace(PROMPT, trust="digest-only"))
    assert content.trusted_by is Judge.NOBODY
    assert cache.load(paths, image.digest, NAMES) is None
    assert cache.load(paths, image.digest, NAMES, "digest-only") == content


def test_without_a_key_nothing_is_even_fetched(tmp_path, image):
    effects = EffectsDouble()
    error = refused(HostPaths(tmp_path / "keyless"), image, effects=effects)
    expect(error, Code.PACKAGE_SIGNATURE_BAD, "0 files of public keys are in /etc/pki/rpm-gpg, expected 1 to 256")
    assert effects.attempted == []


def test_a_worker_that_did_not_judge_is_not_believed(paths, image):
    unjudged = replace(PACKAGE, judge=Judge.NOBODY)
    worker = scripted(said(unjudged), "connection.recv(1)", phase="inspect")
    expect_lie(refused(paths, image, worker), "did not judge the signature of kernel-rt-core-1-1.x86_64")


# What there is no room for


def test_a_package_with_no_room_on_the_disk_is_not_begun(paths, image, monkeypatch):
    monkeypatch.setattr(cache, "free_bytes", lambda _directory: 1000)
    error = refused(paths, image)
    expect(error, Code.CACHE_FULL, f"{paths.cache} has 1000 bytes free, usr/share/rpm-ostree/extensions/kernel-rt-")


def test_the_cache_has_a_limit_which_what_is_there_counts_against(paths, image, tmp_path):
    whole = sum(len(data) for data in EL9.values())
    settings = replace(PROMPT, max_cache_bytes=whole + 500)
    assert len(fetched(paths, image, settings=settings).packages) == len(EL9)
    other = write_layout(tmp_path / "layout", [extensions(EL9), Layer({})], tag="2", architecture="x86_64")
    with pytest.raises(AgentError, match=r"the cache may have \d+ more bytes, usr/share/\S+ has \d+") as caught:
        fetched(paths, other, settings=settings)
    assert caught.value.failure.code is Code.CACHE_FULL
    assert [entry.name for entry in paths.cache.iterdir()] == [image.digest.removeprefix("sha256:")]


# Workers behind a socket


def behind_sockets(paths: HostPaths) -> AbstractAsyncContextManager[list[str]]:
    """What the units do: a worker for everybody who connects; the names of the sockets that were used."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[list[str]]:
        used, processes, servers = [], [], []

        def accept(server: socket.socket, name: str) -> None:
            connection, _ = server.accept()
            with connection:
                used.append(name)
                processes.append(subprocess.Popen(WORKER, stdin=connection))

        for name in ("fetch", "inspect"):
            server = socket.socket(socket.AF_UNIX)
            paths.below("/run").mkdir(exist_ok=True)
            server.bind(str(paths.below(f"/run/mcd-rt-{name}.sock")))
            server.listen()
            servers.append(server)
            asyncio.get_running_loop().add_reader(server, accept, server, name)
        try:
            yield used
        finally:
            for server in servers:
                asyncio.get_running_loop().remove_reader(server)
                server.close()
            for process in processes:
                await asyncio.to_thread(process.wait, 20)

    return serving()


@pytest.mark.parametrize("worker", ["auto", "socket"])
def test_where_units_listen_they_do_the_work(paths, image, worker):
    async def story() -> None:
        async with behind_sockets(paths) as used:
            settings = replace(PROMPT, worker=worker)
            content = await fetch_content(
                EffectsDouble(), settings, paths, image, NAMES, lambda *_: None, architecture="x86_64"
            )
            assert len(content.packages) == len(EL9)
            assert used == ["fetch", "inspect"]

    run(story())


def test_a_unit_that_fails_says_what_the_child_would(paths, image):
    async def story() -> None:
        async with behind_sockets(paths):
            with pytest.raises(AgentError, match="its manifest says") as caught:
                await fetch_content(
                    EffectsDouble(), PROMPT, paths, damaged(image, lambda d: d[:-500]), NAMES, lambda *_: None
                )
            assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH
        assert list(paths.cache.iterdir()) == []

    run(story())


def test_a_unit_that_hangs_up_is_named(paths, image):
    async def story() -> None:
        paths.below("/run").mkdir()
        async with await asyncio.start_unix_server(
            lambda _reader, writer: writer.close(), paths.below("/run/mcd-rt-fetch.sock")
        ):
            with pytest.raises(AgentError, match="the worker closed its socket before its answer was complete"):
                await fetch_content(EffectsDouble(), PROMPT, paths, image, NAMES, lambda *_: None)

    run(story())


def test_sockets_that_are_not_there_are_named_where_they_are_demanded(paths, image):
    error = refused(paths, image, settings=replace(PROMPT, worker="socket"))
    expect(error, Code.WORKER_FAILED, "/run/mcd-rt-fetch.sock: No such file or directory")


# What is wrong with the image


def damaged(image: ImageReference, change: Callable[[bytes], bytes]) -> ImageReference:
    """The image with the bytes of its newest layer changed under its old digest."""
    manifest = json.loads((Path(image.place) / "blobs" / image.digest.replace(":", "/")).read_bytes())
    path = Path(image.place) / "blobs" / manifest["layers"][-1]["digest"].replace(":", "/")
    path.write_bytes(change(path.read_bytes()))
    return image


def relayered(image: ImageReference, data: bytes, media_type: str) -> ImageReference:
    """An honest image whose newest layer has these bytes."""
    place = Path(image.place)
    manifest = json.loads((place / "blobs" / image.digest.replace(":", "/")).read_bytes())
    manifest["layers"][-1] = {"mediaType": media_type, "digest": put_blob(place, data), "size": len(data)}
    return replace(image, digest=put_blob(place, json.dumps(manifest).encode()))


def newest(image: ImageReference) -> bytes:
    manifest = json.loads((Path(image.place) / "blobs" / image.digest.replace(":", "/")).read_bytes())
    return (Path(image.place) / "blobs" / manifest["layers"][-1]["digest"].replace(":", "/")).read_bytes()


GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
BAD_IMAGES = [
    (lambda i: replace(i, place="/nowhere"), Code.IMAGE_UNREADABLE, "/nowhere/oci-layout cannot be opened"),
    (lambda i: replace(i, digest="sha256:" + "0" * 64), Code.IMAGE_UNREADABLE, f"{'0' * 64} is missing"),
    (lambda i: damaged(i, lambda d: d[:2000] + bytes([d[2000] ^ 1]) + d[2001:]), Code.IMAGE_DIGEST_MISMATCH, "blob "),
    (lambda i: damaged(i, lambda d: d[:-500]), Code.IMAGE_DIGEST_MISMATCH, "its manifest says"),
    (lambda i: damaged(i, lambda d: d + b"x"), Code.IMAGE_DIGEST_MISMATCH, "is longer than"),
    (lambda i: relayered(i, newest(i)[:-500], GZIP), Code.IMAGE_UNREADABLE, "ends in the middle of its gzip stream"),
    (lambda i: relayered(i, b"no tar" * 99, GZIP), Code.IMAGE_UNREADABLE, "has a damaged header"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "message"),
    BAD_IMAGES,
    ids=[case[2][:40] for case in BAD_IMAGES],
)
def test_a_bad_image_leaves_nothing_and_is_named(paths, image, change, code, message):
    expect(refused(paths, change(image)), code, message)


def test_a_bomb_leaves_nothing(tmp_path, paths):
    image = layout(tmp_path, Layer({"srv/zeros": bytes(80 << 20)}, Compression.ZSTD))
    expect(refused(paths, image), Code.IMAGE_TOO_LARGE, "bytes of it unpack to more than")


def test_a_layer_that_escapes_the_root_leaves_nothing(tmp_path, paths):
    image = layout(tmp_path, extensions(EL9), Layer({"../../etc/x.rpm": CORE}))
    expect(refused(paths, image), Code.IMAGE_UNSAFE, "leads out of the image: '../../etc/x.rpm'")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (CORE[:-100], "usr/share/rpm-ostree/extensions/b.rpm is not a whole RPM: the payload does not match"),
        (CORE[:500], "usr/share/rpm-ostree/extensions/b.rpm is not a whole RPM: it ends in the middle of its header"),
    ],
)
def test_a_truncated_rpm_leaves_nothing_and_is_named(tmp_path, paths, data, message):
    expect(refused(paths, layout(tmp_path, extensions({"b.rpm": data}))), Code.PACKAGE_CORRUPT, message)


# What is wrong with the worker

LIES = [
    (said(b"nonsense\n"), "sent what is not a frame"),
    (said(b"x" * (frames.LINE + 1)), "sent a line of more than 65536 bytes"),
    (said(b"x" * frames.LINE + b"\n"), "sent a line of more than 65536 bytes"),
    (said(ChunkFrame(3), b"abc"), "sent ChunkFrame where a file or the end was due"),
    (said(FileFrame("a", 3), DoneFrame()), "sent DoneFrame with 3 bytes of a file to come"),
    (said(FileFrame("a", 3), FileFrame("b", 3)), "sent FileFrame with 3 bytes of a file to come"),
    (said(FileFrame("a", 3), ChunkFrame(4), b"abcd"), "sent a chunk of 4 bytes with 3 bytes of a file to come"),
    (said(FileFrame("a", 3), ChunkFrame(0)), "sent a chunk of 0 bytes with 3 bytes of a file to come"),
    (said(FileFrame("a", 1 << 40)), "sent a file of 1099511627776 bytes, more than 1073741824"),
    (said(*[FileFrame("a", 1), ChunkFrame(1), b"a"] * 65), "sent more than 64 files"),
    (b'{"error":{"code":"held","message":"","hint":""}}\n', "code: 'held' is not one a worker has"),
]


@pytest.mark.parametrize(("answer", "message"), LIES, ids=[message for _, message in LIES])
def test_a_worker_that_lies_is_not_believed(paths, image, answer, message):
    expect_lie(refused(paths, image, scripted(answer, "connection.recv(1)")), message)


def expect_lie(error: AgentError, message: str) -> None:
    assert error.failure.code is Code.WORKER_FAILED
    assert message in error.failure.message


PACKAGE = PackageFrame(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), "", (), (), Judge.RPMKEYS)
LIES_ABOUT_FILES = [
    (said(DoneFrame()), "did not say what usr/share/rpm-ostree/extensions/kernel-rt-core-"),
    (said(replace(PACKAGE, nevra=replace(PACKAGE.nevra, name="bash"))), "sent bash-1-1.x86_64, which nobody asked for"),
    (said(PACKAGE, PACKAGE, PACKAGE, PACKAGE, PACKAGE, PACKAGE), "went on after it had inspected everything"),
    (said(PACKAGE), "ended with the exit status 0 before its answer was complete"),
]


@pytest.mark.parametrize(("answer", "message"), LIES_ABOUT_FILES, ids=[message for _, message in LIES_ABOUT_FILES])
def test_a_worker_that_lies_about_files_is_not_believed(paths, image, answer, message):
    expect_lie(refused(paths, image, scripted(answer, "connection.recv(1)", phase="inspect")), message)


@pytest.mark.parametrize("noise", [ProgressFrame(1, 2), b"x"])
def test_a_worker_that_floods_is_stopped(paths, image, monkeypatch, noise):
    monkeypatch.setattr(answers, "_MAX_PROGRESS_FRAMES", 1000)
    worker = scripted(b"", f"while True: connection.sendall({said(noise) * 100!r})")
    error = refused(paths, image, worker)
    assert error.failure.code is Code.WORKER_FAILED


def test_a_worker_that_never_pauses_does_not_outlive_its_deadline(paths, image):
    chunk = said(FileFrame("a", 1 << 30))
    endless = f"data = {said(ChunkFrame(1), b'a') * 1000!r}\n    while True: connection.sendall(data)"
    settings = ContentSettings(fetch_timeout=0.5)
    error = refused(paths, image, scripted(chunk, endless), settings=settings)
    expect(error, Code.WORKER_TIMEOUT, "the worker was not done after 0.5 s")


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("os._exit(3)", "the worker ended with the exit status 3 before its answer was complete"),
        ("os.kill(os.getpid(), 9)", "the worker was killed by SIGKILL before its answer was complete"),
        ("os.kill(os.getpid(), 40)", "the worker was killed by signal 40 before its answer was complete"),
    ],
)
@pytest.mark.parametrize("answer", [b"", said(FileFrame("a", 9), ChunkFrame(9), b"abc")])
def test_a_worker_that_dies_is_named_with_how_it_ended(paths, image, then, message, answer):
    expect(refused(paths, image, scripted(answer, then)), Code.WORKER_FAILED, message)


def test_what_ends_a_worker_unforeseen_is_told_by_its_last_line(paths, image, capfd):
    code = "import mcd_rt.content.delivery as d, mcd_rt.content.worker as w; d.deliver = None; w.serve_standard_input()"
    error = refused(paths, image, (sys.executable, "-c", code))
    assert error.failure.message == "the worker failed: TypeError: 'NoneType' object is not callable"
    assert "Traceback" in capfd.readouterr().err


def test_what_a_worker_prints_does_not_get_into_its_answer(paths, image, capfd):
    code = "import mcd_rt.content.worker as w; f = w._answer; w._answer = lambda c: (print('noise', flush=True), f(c))"
    fetched(paths, image, (sys.executable, "-c", f"{code}; w.serve_standard_input()"))
    assert "noise" in capfd.readouterr().err


def test_a_worker_that_dies_before_it_has_the_files_is_named(paths, image):
    code = """
import os, socket
from mcd_rt.content.worker import serve
connection = socket.socket(fileno=os.dup(0))
if b'"op":"inspect"' in connection.recv(65536, socket.MSG_PEEK):
    os._exit(3)
serve(connection)
"""
    expect_lie(refused(paths, image, (sys.executable, "-c", code)), "ended with the exit status 3")


@pytest.mark.parametrize("argv", [("/nonexistent/worker",), ("/",)])
def test_a_worker_that_is_absent_is_named(paths, image, argv):
    expect(refused(paths, image, argv), Code.WORKER_FAILED, f"cannot start the worker {argv[0]}: ")


def test_a_worker_that_hangs_is_killed_after_the_idle_timeout(paths, image):
    worker = scripted(said(FileFrame("a", 9), ChunkFrame(9), b"abc"), "connection.recv(1)")
    started = time.monotonic()
    error = refused(paths, image, worker, settings=ContentSettings(idle_timeout=0.3))
    expect(error, Code.WORKER_TIMEOUT, "the worker said nothing for 0.3 s")
    assert time.monotonic() - started < 5


def test_a_worker_that_never_reads_is_killed_after_the_idle_timeout(paths, image):
    worker = (*PYTHON, "import signal; signal.pause()")
    error = refused(paths, image, worker, settings=ContentSettings(idle_timeout=0.3))
    expect(error, Code.WORKER_TIMEOUT, "the worker said nothing for 0.3 s")


def test_a_worker_that_stays_after_its_answer_is_killed_and_the_answer_counts(paths, image, monkeypatch):
    monkeypatch.setattr(conversation, "_GRACE", 0.1)
    worker = scripted(said(DoneFrame()), "import signal; signal.pause()")
    with leaves_nothing():
        assert fetched(paths, image, worker) == Content(image.digest, ())


def test_a_worker_that_closes_its_socket_and_stays_is_killed(paths, image, monkeypatch):
    monkeypatch.setattr(conversation, "_GRACE", 0.1)
    then = "import signal; connection.close(); os.close(0); os.close(1); signal.pause()"
    expect(refused(paths, image, scripted(b"", then)), Code.WORKER_FAILED, "the worker closed its socket before")


def test_a_fetch_that_is_cancelled_takes_its_worker_along(paths, image):
    effects = EffectsDouble()

    async def cancelled() -> None:
        said_something = asyncio.Event()
        worker = scripted(said(ProgressFrame(1, 2), FileFrame("a", 9)), "connection.recv(1)")
        fetching = asyncio.create_task(
            fetch_content(
                effects, PROMPT, paths, image, NAMES, lambda _done, _total: said_something.set(), worker_argv=worker
            )
        )
        await said_something.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching

    run(cancelled())
    assert list(paths.cache.iterdir()) == []


# What is wrong with the disk


@pytest.mark.parametrize("kind", ["make_directory", "create", "write", "fsync", "rename", "fsync_directory"])
def test_a_full_disk_leaves_nothing_temporary(paths, image, kind):
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"))
    error = refused(paths, image, effects=effects)
    expect(error, Code.WRITE_FAILED, ": No space left on device")
    assert str(paths.cache) in error.failure.message


def test_killed_at_any_effect_the_cache_has_all_or_nothing(tmp_path, image):
    counted = EffectsDouble()
    content = fetched(host(tmp_path / "counted"), image, effects=counted)
    kinds = [effect.kind for effect in counted.attempted]
    first_of_each = sorted({kinds.index(kind) + 1 for kind in kinds} | set(range(len(kinds) - 1, len(kinds) + 2)))
    outcomes = []
    for nth in first_of_each:
        paths = host(tmp_path / str(nth))
        effects = EffectsDouble()
        effects.kill(nth)
        with suppress(Killed):
            fetched(paths, image, effects=effects)
        outcomes.append(cache.load(paths, image.digest, NAMES))
    assert outcomes == [None] * (len(outcomes) - outcomes.count(content)) + [content] * outcomes.count(content)
    assert content in outcomes
    assert None in outcomes
