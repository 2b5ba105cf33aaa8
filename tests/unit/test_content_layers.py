"""The RPMs of an image are those a container of it would have, whatever its layers do."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mcd_rt.content.blob import verified
from mcd_rt.content.layers import rpms
from mcd_rt.content.layout import open_blob, open_image
from mcd_rt.content.overlay import Layer as Marks
from mcd_rt.content.overlay import Shadow
from mcd_rt.errors import AgentError, Code
from mcd_rt.sim.image import (
    Compression,
    Directory,
    Entry,
    HardLink,
    Layer,
    Opaque,
    Pipe,
    SymbolicLink,
    Whiteout,
    write_layout,
)


def visible(directory: Path, *layers: Mapping[str, Entry] | Layer) -> dict[str, bytes]:
    """Path and data of the RPMs of an image with these layers, oldest first."""
    built = [layer if isinstance(layer, Layer) else Layer(layer) for layer in layers]
    image = open_image(write_layout(directory, built, tag="x", architecture="x86_64"), "x86_64", 64)
    found = {}
    shadow = Shadow()
    for blob in reversed(image.layers):
        marks = Marks()
        with open_blob(directory, blob.digest) as file, verified(file, blob, lambda _: None) as reader:
            found |= {path: data.take(1 << 30) for path, data in rpms(reader, "the layer", shadow, marks)}
        shadow = marks.above(shadow)
    return found


@pytest.mark.parametrize("compression", list(Compression))
def test_rpms_are_found_in_layers_of_any_packing(tmp_path, compression):
    entries = {"a.rpm": b"a", "srv/b.rpm": b"b", "extensions/x/c.rpm": b"c" * 9999, "pkglist.txt": b""}
    assert visible(tmp_path, Layer(entries, compression)) == {"a.rpm": b"a", "extensions/x/c.rpm": b"c" * 9999}


CASES = [
    ("a newer file wins", [{"a.rpm": b"1"}, {"a.rpm": b"2"}], {"a.rpm": b"2"}),
    ("both layers add", [{"a.rpm": b"1"}, {"b.rpm": b"2"}], {"a.rpm": b"1", "b.rpm": b"2"}),
    ("a whiteout removes", [{"a.rpm": b"1", "b.rpm": b"2"}, {"a.rpm": Whiteout()}], {"b.rpm": b"2"}),
    ("and comes back above", [{"a.rpm": b"1"}, {"a.rpm": Whiteout()}, {"a.rpm": b"3"}], {"a.rpm": b"3"}),
    ("a directory is removed", [{"extensions/a.rpm": b"1"}, {"extensions": Whiteout()}], {}),
    (
        "and made again in the same layer",
        [{"extensions/a.rpm": b"1"}, {"extensions/b.rpm": b"2", "./extensions": Whiteout()}],
        {"extensions/b.rpm": b"2"},
    ),
    (
        "an opaque directory keeps what its layer has",
        [{"extensions/a.rpm": b"1"}, {"extensions/b.rpm": b"2", "extensions": Opaque()}],
        {"extensions/b.rpm": b"2"},
    ),
    (
        "an opaque directory hides only below itself",
        [{"extensions/a.rpm": b"1", "extensions/x/b.rpm": b"2"}, {"extensions/x": Opaque()}],
        {"extensions/a.rpm": b"1"},
    ),
    ("an opaque root hides everything", [{"a.rpm": b"1"}, {"": Opaque(), "b.rpm": b"2"}], {"b.rpm": b"2"}),
    ("a file replaces a directory", [{"extensions/a.rpm": b"1"}, {"extensions": b"no directory"}], {}),
    (
        "a link replaces a directory",
        [{"extensions/a.rpm": b"1"}, {"extensions": SymbolicLink("/tmp")}, {"extensions/b.rpm": b"3"}],
        {"extensions/b.rpm": b"3"},
    ),
    ("a directory replaces an RPM", [{"a.rpm": b"1"}, {"a.rpm": Directory()}], {}),
    ("directories are joined", [{"extensions/a.rpm": b"1"}, {"extensions": Directory()}], {"extensions/a.rpm": b"1"}),
    ("links elsewhere are passed over", [{"link.txt": SymbolicLink("/"), "a.rpm": b"1"}], {"a.rpm": b"1"}),
    ("a hidden link is not looked at", [{"a.rpm": SymbolicLink("b")}, {"a.rpm": b"2"}], {"a.rpm": b"2"}),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_layers_hide_each_other_as_in_a_container(tmp_path, layers, expected):
    assert visible(tmp_path, *layers) == expected


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (SymbolicLink("/etc/shadow"), "a symbolic link"),
        (HardLink("srv/a"), "a hard link"),
        (Pipe(), "a device or pipe"),
    ],
)
def test_what_is_no_file_is_not_followed_but_refused_where_rpms_are(tmp_path, entry, kind):
    with pytest.raises(AgentError, match=f"extensions/a.rpm in the layer is {kind}, expected a file") as caught:
        visible(tmp_path, {"extensions/a.rpm": entry})
    assert caught.value.failure.code is Code.IMAGE_UNSAFE


def test_a_sparse_file_is_refused_where_rpms_are(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as writer:
        member = tarfile.TarInfo("a.rpm")
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "a.rpm"}
        writer.addfile(member)
    with pytest.raises(AgentError, match=r"a\.rpm in the layer is a sparse file"):
        list(rpms(io.BufferedReader(Taken(buffer.getvalue())), "the layer", Shadow(), Marks()))


class Taken(io.BytesIO):
    """Bytes that say how many were read."""

    @property
    def taken(self) -> int:
        return self.tell()


@pytest.mark.parametrize("path", ["../a.rpm", "/a.rpm", "extensions/../../a.rpm"])
def test_a_layer_that_escapes_the_root_is_refused(tmp_path, path):
    with pytest.raises(AgentError, match="the layer has a member that leads out of the image") as caught:
        visible(tmp_path, {path: b""})
    assert caught.value.failure.code is Code.IMAGE_UNSAFE


def test_one_path_twice_in_a_layer_is_refused(tmp_path):
    with pytest.raises(AgentError, match=r"a\.rpm in the layer is there twice") as caught:
        visible(tmp_path, {"a.rpm": b"1", "./a.rpm": b"2"})
    assert caught.value.failure.code is Code.IMAGE_UNSAFE


def test_an_rpm_of_a_layer_with_another_digest_does_not_count(tmp_path):
    image = write_layout(tmp_path, [Layer({"a.rpm": b"1"}, Compression.NONE)], tag="x", architecture="x86_64")
    layer = open_image(image, "x86_64", 64).layers[0]
    path = tmp_path / "blobs" / layer.digest.replace(":", "/")
    data = path.read_bytes()
    path.write_bytes(data[:512] + b"2" + data[513:])
    with (
        pytest.raises(AgentError) as caught,
        open_blob(tmp_path, layer.digest) as file,
        verified(file, layer, lambda _: None) as reader,
    ):
        assert [data.take(9) for _, data in rpms(reader, "the layer", Shadow(), Marks())] == [b"2"]
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH
