"""How far a worker reads an image: not at all, until the kernel is whole, or to the oldest layer."""

import json
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import frames, sending, worker
from mcd_rt.content.frames import (
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    Extent,
    FetchRequest,
    FileFrame,
    Frame,
    ImageFrame,
    PackageFrame,
    ProgressFrame,
)
from mcd_rt.errors import Code
from mcd_rt.model.content import Judge
from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout

RT = kernel_rt_packages("5.14.0", "284.rt14.284.el9", "x86_64", 9)
OLD = kernel_rt_packages("5.14.0", "70.rt21.70.el9", "x86_64", 9)
NAMES = tuple(name.rpartition("-5.14.0")[0] for name in RT)
KVM = next(name for name in RT if "-kvm-" in name)
REST = {name: data for name, data in RT.items() if name != KVM}


def layout(directory: Path, *layers: dict[str, bytes]) -> ImageReference:
    return write_layout(directory / "layout", [Layer(files) for files in layers], tag="x", architecture="x86_64")


def answer(image: ImageReference, extent: Extent) -> list[Frame]:
    """Every frame but chunks and progress."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=worker.serve, args=(theirs,))
    said: list[Frame] = []
    request = FetchRequest(str(image), NAMES, "x86_64", 64, 1 << 30, 512, extent=extent)
    with ours, theirs, ours.makefile("rb") as stream:
        thread.start()
        ours.sendall(frames.encode_request(request))
        while not said or not isinstance(said[-1], DoneFrame | ErrorFrame):
            frame = frames.decode(stream.readline())
            if isinstance(frame, ChunkFrame):
                stream.read(frame.size)
            elif not isinstance(frame, ProgressFrame):
                said.append(frame)
        thread.join()
    return said


def files(said: list[Frame]) -> set[str]:
    return {frame.file for frame in said if isinstance(frame, FileFrame)}


def told(said: list[Frame]) -> list[str]:
    return [f"{frame.nevra}.rpm" for frame in said if isinstance(frame, PackageFrame)]


def test_a_fetch_leaves_the_layers_alone_that_are_older_than_a_whole_kernel(tmp_path):
    said = answer(layout(tmp_path, {KVM: RT[KVM]}, REST), Extent.KERNEL)
    assert (files(said), told(said)) == (set(REST), [])


def test_asked_for_all_it_tells_what_is_in_them_and_sends_none_of_it(tmp_path):
    said = answer(layout(tmp_path, OLD, {KVM: RT[KVM], "bash.rpm": RT[KVM]}, REST), Extent.ALL)
    assert files(said) == set(REST)
    assert sorted(told(said)) == sorted([*OLD, KVM, KVM])
    assert all(frame.judge is Judge.NOBODY for frame in said if isinstance(frame, PackageFrame))
    assert isinstance(said[-1], DoneFrame)


def test_what_a_newer_layer_hides_is_not_in_the_image_and_not_told(tmp_path):
    said = answer(layout(tmp_path, {KVM: RT[KVM]}, REST | {f".wh.{KVM}": b""}), Extent.ALL)
    assert (files(said), told(said)) == (set(REST), [])


def test_where_one_layer_has_all_there_is_nothing_to_tell(tmp_path):
    said = answer(layout(tmp_path, {"srv/x": b"x"}, RT), Extent.ALL)
    assert (files(said), told(said)) == (set(RT), [])


def test_a_kernel_in_two_layers_is_sent_from_both(tmp_path):
    core = {name: data for name, data in RT.items() if "-core-" in name}
    said = answer(layout(tmp_path, {name: RT[name] for name in RT if name not in core}, core), Extent.ALL)
    assert (files(said), told(said)) == (set(RT), [])


def test_more_than_anybody_needs_to_be_told_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "MAX_TOLD", 2)
    said = answer(layout(tmp_path, OLD, RT), Extent.ALL)
    assert isinstance(said[-1], ErrorFrame)
    assert said[-1].failure.code is Code.IMAGE_TOO_LARGE
    assert len(told(said)) == 2


def without_layers(image: ImageReference) -> ImageReference:
    place = Path(image.place)
    manifest = json.loads((place / "blobs" / image.digest.replace(":", "/")).read_bytes())
    for layer in manifest["layers"]:
        (place / "blobs" / layer["digest"].replace(":", "/")).unlink()
    return image


@pytest.mark.parametrize("digest", [True, False])
def test_the_identity_of_an_image_needs_no_layer(tmp_path, digest):
    image = without_layers(layout(tmp_path, RT))
    said = answer(image if digest else replace(image, digest=""), Extent.IDENTITY)
    assert [type(frame) for frame in said] == [ImageFrame, DoneFrame]
    assert said[0].digest == image.digest
