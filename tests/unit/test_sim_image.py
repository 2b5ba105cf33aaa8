"""Images for simulation are real ones, and the same every time."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
import rpm_rs

from mcd_rt.content.decompress import unpacked
from mcd_rt.content.frames import PackageFrame
from mcd_rt.content.layout import open_image
from mcd_rt.content.rpm import inspect
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.image import (
    EL8_SUFFIXES,
    EL9_SUFFIXES,
    Compression,
    Directory,
    HardLink,
    Layer,
    Opaque,
    Pipe,
    SymbolicLink,
    Whiteout,
    build_rpm,
    kernel_release_of,
    kernel_rt_packages,
    put_blob,
    write_layout,
)

EL8 = ("4.18.0", "147.0.3.rt24.95.el8_1", "x86_64", 8)
EL9 = ("5.14.0", "284.30.1.rt14.315.el9_2", "x86_64", 9)


def inspected(tmp_path: Path, data: bytes) -> PackageFrame:
    path = tmp_path / "rpm"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return inspect(descriptor, "the rpm")
    finally:
        os.close(descriptor)


def archive(image: ImageReference, layer: int = 0) -> tarfile.TarFile:
    digest = open_image(image, "x86_64", 64).layers[layer].digest
    source = io.BytesIO((Path(image.place) / "blobs" / digest.replace(":", "/")).read_bytes())
    return tarfile.open(fileobj=io.BytesIO(unpacked(source, source.tell, "layer").take(1 << 30)))


def test_an_rpm_is_what_was_asked_for_and_its_digests_are_right(tmp_path):
    nevra = Nevra("kernel-rt-core", 3, "1.2", "3.el9", "aarch64")
    capabilities = {"provides": ["kernel-a", "kernel-b = 2"], "requires": ["kernel-c >= 3"]}
    found = inspected(tmp_path, build_rpm(nevra, kernel_release="1.2-rt", payload=b"x", **capabilities))
    assert found.nevra == nevra
    assert found.kernel_release == "1.2-rt"
    assert {"kernel-a", "kernel-b = 2"} <= set(found.provides)
    assert found.requires == ("kernel-c >= 3",)


@pytest.mark.parametrize(
    ("name", "kernel_release", "file"),
    [
        ("kernel-rt-core", "1", "/lib/modules/1/vmlinuz"),
        ("kernel-rt-modules-core", "1", "/lib/modules/1/kernel/kernel-rt-modules-core.ko"),
        ("kernel-rt-kvm", "1", "/lib/modules/1/kernel/kernel-rt-kvm.ko"),
        ("bash", "", "/usr/share/doc/bash/README"),
    ],
)
def test_a_kernel_is_where_kernels_are(name, kernel_release, file):
    data = build_rpm(Nevra(name, 0, "1", "1", "x86_64"), kernel_release=kernel_release, payload=b"it")
    package = rpm_rs.Package.from_bytes(data)
    assert [(found.metadata.path, bytes(found.content)) for found in package.files()] == [(file, b"it")]


@pytest.mark.parametrize(
    ("release", "suffixes", "uname"),
    [
        (EL8, EL8_SUFFIXES, "4.18.0-147.0.3.rt24.95.el8_1.x86_64"),
        (EL9, EL9_SUFFIXES, "5.14.0-284.30.1.rt14.315.el9_2.x86_64+rt"),
    ],
    ids=["el8", "el9"],
)
def test_the_packages_of_a_release_fit_together(tmp_path, release, suffixes, uname):
    packages = kernel_rt_packages(*release)
    assert kernel_release_of(*release) == uname
    assert list(packages) == [f"kernel-rt-{suffix}-{release[0]}-{release[1]}.x86_64.rpm" for suffix in suffixes]
    found = [inspected(tmp_path, data) for data in packages.values()]
    assert {package.kernel_release for package in found} == {uname}
    provided = {capability for package in found for capability in package.provides}
    required = {capability for package in found for capability in package.requires}
    assert required <= provided
    assert f"kernel-uname-r = {uname}" in required
    assert (f"kernel-rt-modules-core-uname-r = {uname}" in required) == (release is EL9)


def test_some_packages_of_a_release_can_be_had_and_then_something_is_missing(tmp_path):
    packages = kernel_rt_packages(*EL9, ("core",), payload_bytes=10)
    assert len(packages) == 1
    core = inspected(tmp_path, next(iter(packages.values())))
    assert core.requires == ("kernel-rt-modules-core-uname-r = 5.14.0-284.30.1.rt14.315.el9_2.x86_64+rt",)


def test_the_same_input_is_the_same_image(tmp_path):
    layers = [Layer({"a": b"1"}), Layer(kernel_rt_packages(*EL9), Compression.ZSTD)]
    first = write_layout(tmp_path / "1", layers, tag="x", architecture="x86_64")
    second = write_layout(tmp_path / "2", layers, tag="x", architecture="x86_64")
    assert first.digest == second.digest
    assert sorted(path.name for path in (tmp_path / "1").rglob("*")) == sorted(
        path.name for path in (tmp_path / "2").rglob("*")
    )


def test_entries_are_what_they_are_called(tmp_path):
    entries = {
        "dir": Directory(),
        "dir/file": b"data",
        "link": SymbolicLink("dir/file"),
        "hard": HardLink("dir/file"),
        "pipe": Pipe(),
        "dir/gone": Whiteout(),
        "top": Whiteout(),
        "opaque": Opaque(),
        "": Opaque(),
    }
    image = write_layout(tmp_path, [Layer(entries)], tag="x", architecture="x86_64")
    with archive(image) as found:
        assert [(member.name, member.type, member.linkname) for member in found] == [
            ("dir", tarfile.DIRTYPE, ""),
            ("dir/file", tarfile.REGTYPE, ""),
            ("link", tarfile.SYMTYPE, "dir/file"),
            ("hard", tarfile.LNKTYPE, "dir/file"),
            ("pipe", tarfile.FIFOTYPE, ""),
            ("dir/.wh.gone", tarfile.REGTYPE, ""),
            (".wh.top", tarfile.REGTYPE, ""),
            ("opaque/.wh..wh..opq", tarfile.REGTYPE, ""),
            (".wh..wh..opq", tarfile.REGTYPE, ""),
        ]


@pytest.mark.parametrize("compression", list(Compression))
def test_a_layer_is_packed_as_its_media_type_says(tmp_path, compression):
    image = write_layout(tmp_path, [Layer({"a": b"1"}, compression)], tag="x", architecture="aarch64")
    found = open_image(image, "aarch64", 1)
    assert found.architecture == "arm64"
    assert found.layers[0].media_type.endswith(f"tar{compression.value}")
    with archive(image) as members:
        assert members.getnames() == ["a"]


def test_a_layout_holds_many_images_and_a_tag_one(tmp_path):
    first = write_layout(tmp_path, [Layer({"a": b"1"})], tag="first", architecture="x86_64")
    old = write_layout(tmp_path, [Layer({"a": b"2"})], tag="moved", architecture="x86_64")
    new = write_layout(tmp_path, [Layer({"a": b"3"})], tag="moved", architecture="x86_64")
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert [entry["digest"] for entry in index["manifests"]] == [first.digest, new.digest]
    assert open_image(old, "x86_64", 1).digest == old.digest


def test_a_reference_says_where_the_image_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = write_layout(Path("layout"), [], tag="x", architecture="x86_64")
    assert image == ImageReference(f"{tmp_path}/layout", "x", image.digest, layout=True)
    assert ImageReference.parse(str(image)) == image


def test_a_blob_is_named_by_its_digest(tmp_path):
    digest = put_blob(tmp_path, b"")
    assert digest == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (tmp_path / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes() == b""
