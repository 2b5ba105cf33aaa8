"""The protocol: what one end encodes the other decodes, and nothing else passes."""

import json

import pytest

from mcd_rt.content import frames
from mcd_rt.content.frames import (
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    Extent,
    FetchRequest,
    FileFrame,
    InspectRequest,
    PackageFrame,
    ProgressFrame,
)
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.nevra import Nevra

NEVRA = Nevra("kernel-rt-core", 0, "5.14.0", "284.rt14.el9", "x86_64")
PACKAGE = PackageFrame(NEVRA, "5.14.0-284.rt14.el9.x86_64+rt", ("kernel = 5.14.0",), ("kernel-rt-modules-core",))

FRAMES = [
    FileFrame("extensions/kernel-rt-core.rpm", 26_061_020),
    ChunkFrame(262_144),
    ProgressFrame(1, 2),
    PACKAGE,
    DoneFrame(),
    ErrorFrame(Failure(Code.PACKAGE_CORRUPT, "x.rpm is not a whole RPM", "build it again")),
]
REQUESTS = [
    FetchRequest("oci:/i@sha256:0", ("kernel-rt-core",), "x86_64", 64, 1 << 30, 512),
    FetchRequest("oci:/i", (), "x86_64", 0, 1 << 30, 512, extent=Extent.IDENTITY),
    InspectRequest(("a.asc", "b.asc"), signed=True),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_is_one_bounded_line_and_comes_back(frame):
    line = frames.encode(frame)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= frames.LINE
    assert frames.decode(line) == frame


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_comes_back(request_):
    assert frames.decode_request(frames.encode_request(request_)) == request_


def package(**changes):
    plain = json.loads(frames.encode(PACKAGE))["package"]
    return json.dumps({"package": plain | changes}).encode()


BAD_FRAMES = [
    (b"", "Expecting value"),
    (b"\xff\xfe", "decode"),
    (b"[]", "expected an object"),
    (b"{}", "none of the frames has the keys []"),
    (b'{"done": false}', "none of the frames"),
    (b'{"chunk": 262145}', "chunk: expected 0 to 262144"),
    (b'{"chunk": -1}', "chunk: expected 0 to"),
    (b'{"file": "x"}', "size: expected a whole number, found nothing"),
    (b'{"file": "x", "size": 1e3}', "size: expected a whole number"),
    (b'{"file": "\\u001b]0;x", "size": 1}', "cannot be printed"),
    (b'{"progress": {"bytes": 3, "total": 2}}', "bytes: expected 0 to 2"),
    (b'{"progress": 1}', "progress: expected an object"),
    (b'{"error": {"code": "no-such", "message": "", "hint": ""}}', "'no-such' is not one a worker has"),
    (b'{"error": {"code": "reboot-stuck", "message": "", "hint": ""}}', "'reboot-stuck' is not one a worker has"),
    (b'{"error": {"code": "image-unsafe", "message": 1, "hint": ""}}', "message: expected a string"),
    (package(name="../../etc/passwd"), "name: '../../etc/passwd' is not possible"),
    (package(version="1-2"), "version: '1-2' is not possible"),
    (package(release=""), "release: '' is not possible"),
    (package(architecture="X86"), "architecture: 'X86' is not possible"),
    (package(epoch=-1), "epoch: expected 0 to"),
    (package(kernel_release="../x"), "kernel_release: '../x' is not possible"),
    (package(provides=["kernel"] * 97), "provides: expected at most 96 items"),
    (package(requires=["kernel\"'"]), "requires: a capability is not a short printable text"),
    (package(requires=["k" * 257]), "requires: expected at most 256 characters"),
]


@pytest.mark.parametrize(("line", "message"), BAD_FRAMES, ids=[message for _, message in BAD_FRAMES])
def test_what_is_no_frame_is_a_failure_of_the_worker(line, message):
    with pytest.raises(AgentError) as caught:
        frames.decode(line)
    assert caught.value.failure.code is Code.WORKER_FAILED
    assert message in caught.value.failure.message


@pytest.mark.parametrize("line", [b"", b"{}", b'{"op":"format"}', b'{"op":"fetch"}', b'{"op":"inspect","files":[1]}'])
def test_what_is_no_request_is_a_failure_of_the_worker(line):
    with pytest.raises(AgentError) as caught:
        frames.decode_request(line)
    assert caught.value.failure.code is Code.WORKER_FAILED


def test_texts_that_are_not_ours_are_made_printable_and_cut_before_they_are_sent():
    frame = frames.decode(frames.encode(ErrorFrame(Failure(Code.IMAGE_UNSAFE, "\x1b" * 9999, "\udcff"))))
    assert frame == ErrorFrame(Failure(Code.IMAGE_UNSAFE, ("\\x1b" * 256), "\\udcff"))


def test_the_largest_package_frame_fits_in_a_line():
    most = tuple("kernel-" + "~" * 246 + f"{n:03}" for n in range(frames.CAPABILITIES))
    line = frames.encode(frames.checked_package(PackageFrame(NEVRA, "", most, most)))
    assert len(line) <= frames.LINE


def test_more_capabilities_than_a_line_holds_are_refused_before_they_are_sent():
    many = tuple(f"kernel-{n}" for n in range(97))
    with pytest.raises(ValueError, match="requires: 97 capabilities"):
        frames.checked_package(PackageFrame(NEVRA, "", (), many))
