"""The worker answers one request, passes on what is asked for and says what is wrong."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import delivery, frames, worker
from mcd_rt.content.frames import (
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    FetchRequest,
    FileFrame,
    Frame,
    ImageFrame,
    InspectRequest,
    PackageFrame,
    ProgressFrame,
    Request,
)
from mcd_rt.errors import Code
from mcd_rt.model.content import Judge, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.demokey import PUBLIC_KEY
from mcd_rt.sim.image import Layer, build_rpm, kernel_rt_packages, write_layout
from tests.unit import fake_skopeo

RT = kernel_rt_packages("4.18.0", "147.0.3.rt24.95.el8_1", "x86_64", 8, payload_bytes=600_000)
NAMES = ("kernel-rt-core", "kernel-rt-modules", "kernel-rt-modules-extra", "kernel-rt-kvm")
CORRUPT = next(iter(RT.values()))[:1000]


def layout(directory: Path, *layers: dict) -> ImageReference:
    return write_layout(directory, [Layer(entries) for entries in layers], tag="x", architecture="x86_64")


def fetching(image: ImageReference, **changes: object) -> FetchRequest:
    return replace(FetchRequest(str(image), NAMES, "x86_64", 64, 1 << 30, 512), **changes)


def answer(
    request: Request | bytes, *batches: list[int], inspected: Iterable[tuple[str, int]] = ()
) -> tuple[list[Frame], dict[str, bytes], int]:
    """All frames but chunks, the files in them, and the exit status; ``inspected`` are sent after the batches."""
    ours, theirs = socket.socketpair()
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(worker.serve(theirs)))
    said: list[Frame] = []
    files: dict[str, bytes] = {}
    with ours, theirs:
        thread.start()
        ours.sendall(request if isinstance(request, bytes) else frames.encode_request(request))
        for batch in batches:
            socket.send_fds(ours, [b"\0"], batch)
        for name, descriptor in inspected:
            ours.sendall(frames.encode_name(name))
            socket.send_fds(ours, [b"\0"], [descriptor])
        ours.shutdown(socket.SHUT_WR)
        with ours.makefile("rb") as stream:
            while not said or not isinstance(said[-1], DoneFrame | ErrorFrame):
                frame = frames.decode(stream.readline())
                if isinstance(frame, ChunkFrame):
                    files[said[-1].file] = files.get(said[-1].file, b"") + stream.read(frame.size)
                elif not isinstance(frame, ProgressFrame | ImageFrame):
                    said.append(frame)
        thread.join()
    return said, files, status[0]


def failure(
    request: Request | bytes, *batches: list[int], inspected: Iterable[tuple[str, int]] = ()
) -> tuple[Code, str]:
    said, _, status = answer(request, *batches, inspected=inspected)
    assert status == 0
    assert isinstance(said[-1], ErrorFrame)
    return said[-1].failure.code, said[-1].failure.message


def test_rpms_are_chosen_by_the_name_in_their_header_not_by_their_file_name(tmp_path):
    core, modules, *_ = RT.values()
    other = build_rpm(Nevra("kernel-rt-devel", 0, "1", "1", "x86_64"))
    image = layout(tmp_path, {"kernel-rt-kvm.rpm": other, "a.rpm": core, "srv/b.rpm": b""}, {"c.rpm": modules})
    said, files, status = answer(fetching(image))
    assert files == {"c.rpm": modules, "a.rpm": core}
    assert said == [FileFrame("c.rpm", len(modules)), FileFrame("a.rpm", len(core)), DoneFrame()]
    assert status == 0


def test_an_image_without_the_packages_is_an_answer(tmp_path):
    assert answer(fetching(layout(tmp_path, {"pkglist.txt": b"x"}))) == ([DoneFrame()], {}, 0)
    assert answer(fetching(layout(tmp_path))) == ([DoneFrame()], {}, 0)


def test_progress_goes_from_nothing_to_all_in_steps(tmp_path):
    image = layout(tmp_path, RT, {"srv/repo": os.urandom(3 << 20)})
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=worker.serve, args=(theirs,))
    steps = []
    with ours, theirs, ours.makefile("rb") as stream:
        thread.start()
        ours.sendall(frames.encode_request(fetching(image)))
        while not isinstance(frame := frames.decode(stream.readline()), DoneFrame):
            if isinstance(frame, ChunkFrame):
                stream.read(frame.size)
            if isinstance(frame, ProgressFrame):
                steps.append(frame)
        thread.join()
    assert (steps[0].done, steps[-1].done) == (0, steps[-1].total)
    assert 4 < len(steps) < 20
    assert [step.done for step in steps] == sorted(step.done for step in steps)


BAD_IMAGES = [
    (lambda image: fetching(replace(image, place="/nowhere")), Code.IMAGE_UNREADABLE, "/nowhere/oci-layout"),
    (lambda image: replace(fetching(image), image="oci:x"), Code.IMAGE_UNREADABLE, "cannot tell which image is meant"),
    (lambda image: fetching(image, max_layers=0), Code.IMAGE_TOO_LARGE, "has 1 layers, more than 0"),
    (lambda image: fetching(image, max_packages=3), Code.IMAGE_TOO_LARGE, "more than 3 of the packages asked for"),
    (lambda image: fetching(image, max_package_bytes=9), Code.IMAGE_TOO_LARGE, "bytes, more than 9"),
    (lambda _: b"nonsense\n", Code.WORKER_FAILED, "asked something it cannot read"),
    (lambda _: b"x" * frames.LINE, Code.WORKER_FAILED, "asked something it cannot read"),
    (lambda _: b"", Code.WORKER_FAILED, "asked something it cannot read"),
]


@pytest.mark.parametrize(("request_of", "code", "message"), BAD_IMAGES, ids=[message for *_, message in BAD_IMAGES])
def test_what_is_wrong_is_said_in_the_last_frame(tmp_path, request_of, code, message):
    found = failure(request_of(layout(tmp_path, RT)))
    assert found[0] is code
    assert message in found[1]


def test_an_rpm_that_is_cut_in_its_header_is_named(tmp_path):
    code, message = failure(fetching(layout(tmp_path, {"extensions/kernel-rt-core.rpm": CORRUPT})))
    assert code is Code.PACKAGE_CORRUPT
    assert message.startswith("extensions/kernel-rt-core.rpm is not a whole RPM: it ends in the middle of its header")


def test_a_host_without_skopeo_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    image = ImageReference("registry.example/os", "", "sha256:" + "0" * 64, layout=False)
    expected = "cannot run skopeo: No such file or directory"
    assert failure(fetching(image, scratch=str(tmp_path))) == (Code.WORKER_FAILED, expected)


def test_a_secret_that_is_lent_is_given_to_skopeo(tmp_path, monkeypatch):
    image = layout(tmp_path / "layout", RT)
    place = fake_skopeo.install(tmp_path / "bin", layout=image.place, digest=image.digest, version="0.2.8")
    monkeypatch.setenv("PATH", str(place))
    (tmp_path / "secret").write_text('{"auths": {}}')
    secret = os.open(tmp_path / "secret", os.O_RDONLY)
    reference = ImageReference("registry.example/os", "", image.digest, layout=False)
    request = fetching(reference, root=str(tmp_path), scratch=str(tmp_path), lent=True)
    try:
        _, files, status = answer(request, [secret])
    finally:
        os.close(secret)
    assert (set(files), status) == (set(RT), 0)
    assert (place / "secret").read_text() == '{"auths": {}}'


def test_a_secret_that_was_promised_and_did_not_come_is_missed(tmp_path):
    reference = ImageReference("registry.example/os", "", "sha256:" + "0" * 64, layout=False)
    expected = "the worker was not sent the pull secret it was promised"
    assert failure(fetching(reference, scratch=str(tmp_path), lent=True)) == (Code.WORKER_FAILED, expected)


def read_of(image: ImageReference, **changes: object) -> tuple[ImageFrame, list[ProgressFrame]]:
    """What is said of the image, and of the progress."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=worker.serve, args=(theirs,))
    said = []
    with ours, theirs, ours.makefile("rb") as stream:
        thread.start()
        ours.sendall(frames.encode_request(fetching(image, **changes)))
        while not isinstance(frame := frames.decode(stream.readline()), DoneFrame | ErrorFrame):
            if isinstance(frame, ChunkFrame):
                stream.read(frame.size)
            said.append(frame)
        thread.join()
    return said[0], [frame for frame in said if isinstance(frame, ProgressFrame)]


def test_what_the_image_says_of_itself_comes_first(tmp_path):
    labels = {"version": "416.94", "com.coreos.ostree-commit": "c0ffee"}
    image = write_layout(tmp_path, [Layer(RT)], tag="x", architecture="x86_64", labels=labels)
    said, _ = read_of(image)
    assert said == ImageFrame(image.digest, "amd64", "c0ffee", "416.94", Way.LAYOUT, "it is a layout on disk")


def test_older_layers_are_left_once_a_kernel_is_whole(tmp_path):
    older = build_rpm(Nevra("kernel-rt-core", 0, "4.18.0", "1.el8", "x86_64"))
    image = layout(tmp_path, {"old.rpm": older, "srv/big": os.urandom(4 << 20)}, RT)
    said, files, _ = answer(fetching(image))
    assert set(files) == set(RT)
    assert said[-1] == DoneFrame()
    _, progress = read_of(image)
    assert progress[0].total > 4 << 20
    assert progress[-1].done == progress[-1].total < 4 << 20


@pytest.mark.parametrize("missing", ["kernel-rt-core", "kernel-rt-modules"])
def test_older_layers_are_read_as_long_as_something_is_missing(tmp_path, missing):
    newer = {name: data for name, data in RT.items() if not name.startswith(f"{missing}-4")}
    image = layout(tmp_path, RT, newer, {})
    _, files, _ = answer(fetching(image))
    assert set(files) == set(RT)


def test_a_layer_that_completes_the_kernel_is_still_read_to_its_end_and_verified(tmp_path):
    image = layout(tmp_path, {**RT, "srv/more": os.urandom(1 << 20)})
    digest = json.loads((tmp_path / "blobs" / image.digest.replace(":", "/")).read_bytes())["layers"][0]["digest"]
    blob = tmp_path / "blobs" / digest.replace(":", "/")
    data = blob.read_bytes()
    blob.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert failure(fetching(image))[0] is Code.IMAGE_DIGEST_MISMATCH


def test_a_limit_on_sizes_concerns_only_what_is_asked_for(tmp_path):
    image = layout(tmp_path, RT)
    assert answer(fetching(image, names=("no-such",), max_package_bytes=9))[0] == [DoneFrame()]


def test_files_are_inspected_in_their_order(tmp_path):
    opened = []
    for n, data in enumerate(RT.values()):
        (tmp_path / str(n)).write_bytes(data)
        opened += [os.open(tmp_path / str(n), os.O_RDONLY)] * 5
    try:
        named = [(f"{n}.rpm", descriptor) for n, descriptor in enumerate(opened)]
        said, _, _ = answer(InspectRequest(), inspected=named)
    finally:
        for descriptor in set(opened):
            os.close(descriptor)
    found = [frame.nevra.name for frame in said if isinstance(frame, PackageFrame)]
    assert found == [name for name in NAMES for _ in range(5)]
    assert said[-1] == DoneFrame()


def inspected(tmp_path: Path, data: bytes, *keys: str) -> list[Frame]:
    """What the worker says of a file that must be signed by one of the keys."""
    descriptors = []
    for n, content in enumerate([*(key.encode() for key in keys), data]):
        (tmp_path / f"given-{n}").write_bytes(content)
        descriptors.append(os.open(tmp_path / f"given-{n}", os.O_RDONLY))
    request = InspectRequest(tuple(f"key-{n}" for n in range(len(keys))), signed=True)
    try:
        return answer(request, *filter(None, [descriptors[:-1]]), inspected=[("core.rpm", descriptors[-1])])[0]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_a_file_is_judged_by_the_keys_that_were_sent(tmp_path):
    said = inspected(tmp_path, RT[next(iter(RT))], "no key at all", PUBLIC_KEY)
    assert [type(frame) for frame in said] == [PackageFrame, DoneFrame]
    assert said[0].judge in (Judge.RPMKEYS, Judge.RPM_RS)


def test_an_unsigned_file_and_one_without_a_key_are_refused(tmp_path):
    unsigned = build_rpm(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), secret_key="")
    assert inspected(tmp_path, unsigned, PUBLIC_KEY)[-1].failure.code is Code.PACKAGE_UNSIGNED
    assert inspected(tmp_path, RT[next(iter(RT))])[-1].failure.code is Code.PACKAGE_SIGNATURE_BAD


def test_a_corrupt_file_is_named_as_it_was_called(tmp_path):
    (tmp_path / "0").write_bytes(CORRUPT)
    descriptor = os.open(tmp_path / "0", os.O_RDONLY)
    try:
        code, message = failure(InspectRequest(), inspected=[("extensions/core.rpm", descriptor)])
    finally:
        os.close(descriptor)
    assert code is Code.PACKAGE_CORRUPT
    assert message.startswith("extensions/core.rpm is not a whole RPM")


def test_fewer_descriptors_than_announced_are_refused():
    assert failure(InspectRequest(("a", "b")), [0]) == (
        Code.WORKER_FAILED,
        "the worker was sent 1 descriptors, expected 2",
    )


def test_what_is_no_name_of_a_file_is_refused():
    request = frames.encode_request(InspectRequest()) + b'{"file":1}\n'
    assert failure(request) == (
        Code.WORKER_FAILED,
        "the worker was asked something it cannot read: file: expected a string, found a number",
    )


def test_an_agent_that_hangs_up_is_no_failure_of_the_worker(tmp_path):
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(frames.encode_request(fetching(layout(tmp_path, RT))))
        ours.close()
        assert worker.serve(theirs) == 1


def test_the_unforeseen_is_said_before_it_is_raised(monkeypatch, tmp_path):
    def broken(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(delivery, "deliver", broken)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(frames.encode_request(fetching(layout(tmp_path))))
        with pytest.raises(MemoryError):
            worker.serve(theirs)
        found = frames.decode(ours.recv(frames.LINE))
    assert isinstance(found, ErrorFrame)
    assert found.failure.code is Code.WORKER_FAILED
    assert found.failure.message == "the worker failed: MemoryError: no more"


def imported_by(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_worker_imports_nothing_of_the_agent():
    found = imported_by(*(f"mcd_rt.content.{room}" for room in ("worker", "delivery", "inspection")))
    assert "rpm_rs" in found
    assert not {"asyncio", "dbus_next", "yaml", "ssl", "mcd_rt.effects", "mcd_rt.content.fetch"} & found
    assert not any(name.startswith(("mcd_rt.agent", "mcd_rt.act", "mcd_rt.report", "mcd_rt.dbus")) for name in found)


def test_a_worker_starts_without_what_only_one_of_its_jobs_needs():
    assert not {"rpm_rs", "zstandard", "tarfile", "argparse"} & imported_by("mcd_rt.content.worker")
    assert not {"rpm_rs", "zstandard", "tarfile"} & imported_by("mcd_rt.content.frames", "mcd_rt.content.link")
    assert not {"zstandard", "tarfile"} & imported_by("mcd_rt.content.inspection")


def test_the_agent_imports_nothing_that_parses_what_is_foreign():
    found = imported_by("mcd_rt.content.fetch")
    assert "mcd_rt.content.cache" in found
    assert not {"rpm_rs", "zstandard", "tarfile", "mcd_rt.content.rpm", "mcd_rt.content.layers"} & found
