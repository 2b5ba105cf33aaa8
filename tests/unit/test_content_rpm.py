"""RPMs are what their headers say, once their digests are right."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rpm_rs

from mcd_rt.content import rpm
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.image import build_rpm, kernel_rt_packages

NEVRA = Nevra("kernel-rt-core", 0, "5.14.0", "284.30.1.rt14.315.el9_2", "x86_64")
KVER = "5.14.0-284.30.1.rt14.315.el9_2.x86_64+rt"
WHOLE = build_rpm(NEVRA, kernel_release=KVER, payload=hashlib.shake_256(b"kernel").digest(5000))


OFFSETS = rpm_rs.PackageMetadata.from_bytes(WHOLE).package_segment_offsets()
HEADER, PAYLOAD = OFFSETS.header, OFFSETS.payload


@contextmanager
def descriptor(tmp_path: Path, data: bytes) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(data)
    opened = os.open(path, os.O_RDONLY)
    try:
        yield opened
    finally:
        os.close(opened)


def built(name: str = "kernel-rt-core", arch: str = "x86_64", **calls: tuple) -> bytes:
    builder = rpm_rs.PackageBuilder(name, "1", "GPLv2", arch)
    for call, arguments in calls.items():
        getattr(builder, call)(*arguments)
    return bytes(builder.build().to_bytes())


def shipping(*paths: str) -> bytes:
    builder = rpm_rs.PackageBuilder("kernel-rt-core", "1", "GPLv2", "x86_64")
    for path in paths:
        builder.with_file_contents(b"x", rpm_rs.FileOptions.new(path))
    return bytes(builder.build().to_bytes())


def test_a_peek_takes_the_header_from_the_stream_and_no_more():
    stream = io.BytesIO(WHOLE)
    found = rpm.peek(stream.read, "a.rpm")
    assert found.name == "kernel-rt-core"
    assert found.prefix == WHOLE[:PAYLOAD]
    assert stream.tell() == len(found.prefix)


def retagged(data: bytes, tag: int, new: int, area: int) -> bytes:
    """The package with another number for a tag of the header at ``area``."""
    index = data.index(tag.to_bytes(4, "big"), area + 16)
    return data[:index] + new.to_bytes(4, "big") + data[index + 4 :]


def test_a_source_package_has_no_name_that_is_asked_for():
    source = retagged(WHOLE, 5093, 1106, HEADER)  # the tag SOURCEPACKAGE
    assert rpm.peek(io.BytesIO(source).read, "a.src.rpm").name == ""


def test_inspection_tells_what_the_plan_needs_and_leaves_the_offset(tmp_path):
    with descriptor(tmp_path, next(iter(kernel_rt_packages("5.14.0", NEVRA.release, "x86_64", 9).values()))) as opened:
        found = rpm.inspect(opened, "a.rpm")
        assert os.lseek(opened, 0, os.SEEK_CUR) == 0
    assert found.nevra == NEVRA
    assert found.kernel_release == KVER
    assert f"kernel-uname-r = {KVER}" in found.provides
    assert found.requires == (f"kernel-rt-modules-core-uname-r = {KVER}",)


def test_epochs_and_format_6_are_read(tmp_path):
    with descriptor(tmp_path, built(epoch=(7,))) as opened:
        assert rpm.inspect(opened, "a.rpm").nevra == Nevra("kernel-rt-core", 7, "1", "1", "x86_64")


def test_only_capabilities_of_kernels_are_told_with_their_versions(tmp_path):
    flags = rpm_rs.DependencyFlags
    builder = rpm_rs.PackageBuilder("kernel-rt-core", "1", "GPLv2", "x86_64")
    builder.provides("kernel(symbol)", "0x1", flags.EQUAL)
    builder.provides("kernel-uname-r", KVER, flags.EQUAL)
    builder.requires("kernel-firmware", "3", flags.GREATER | flags.EQUAL)
    builder.requires("kernel-any")
    builder.requires("bash")
    with descriptor(tmp_path, bytes(builder.build().to_bytes())) as opened:
        found = rpm.inspect(opened, "a.rpm")
    assert f"kernel-uname-r = {KVER}" in found.provides
    assert not any("symbol" in provided for provided in found.provides)
    assert found.requires == ("kernel-any", "kernel-firmware >= 3")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), ""),
        (("/usr/share/doc/x",), ""),
        (("/lib/modules/1.rt/kernel/a.ko",), "1.rt"),
        (("/usr/lib/modules/1.rt+x/vmlinuz",), "1.rt+x"),
        (("/lib/modules/1.rt/vmlinuz", "/lib/modules/0.old/weak-updates/a.ko"), "1.rt"),
        (("/opt/lib/modules/1.rt/vmlinuz",), ""),
    ],
)
def test_the_kernel_release_is_that_of_the_modules_directory(tmp_path, paths, expected):
    with descriptor(tmp_path, shipping(*paths)) as opened:
        assert rpm.inspect(opened, "a.rpm").kernel_release == expected


@pytest.mark.parametrize(
    "paths",
    [
        ("/lib/modules/1/a.ko", "/lib/modules/2/a.ko"),
        ("/lib/modules/1/vmlinuz", "/lib/modules/2/vmlinuz"),
    ],
)
def test_modules_of_two_kernels_are_no_kernel(tmp_path, paths):
    with (
        descriptor(tmp_path, shipping(*paths)) as opened,
        pytest.raises(AgentError, match=r"a\.rpm is not a whole RPM: it has the modules of more than one kernel"),
    ):
        rpm.inspect(opened, "a.rpm")


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


BROKEN_HEADERS = [
    (b"", "it ends in the middle of its header"),
    (b"not an rpm" * 100, "it does not begin like an RPM"),
    (WHOLE[:95], "it ends in the middle of its header"),
    (WHOLE[:200], "it ends in the middle of its header"),
    (WHOLE[: PAYLOAD - 1], "it ends in the middle of its header"),
    (WHOLE[:HEADER] + b"x" * 9000, "a header in it does not begin like one"),
    (WHOLE[: HEADER + 8] + b"\xff" * 8 + WHOLE[HEADER + 16 :], "claims 4294967295 entries and 4294967295 bytes"),
    (WHOLE[: HEADER + 16] + b"\xff" * (PAYLOAD - HEADER - 16), "a header in it has an entry outside of its data"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN_HEADERS, ids=[m for _, m in BROKEN_HEADERS])
def test_what_has_no_header_is_no_rpm(tmp_path, data, message):
    with pytest.raises(AgentError, match=rf"x/a\.rpm is not a whole RPM: .*{message}") as caught:
        rpm.peek(io.BytesIO(data).read, "x/a.rpm")
    assert caught.value.failure.code is Code.PACKAGE_CORRUPT
    with descriptor(tmp_path, data) as opened, pytest.raises(AgentError, match=message):
        rpm.inspect(opened, "a.rpm")


def test_a_header_without_a_name_is_no_rpm():
    nameless = retagged(WHOLE, 1000, 1_000_000, HEADER)
    with pytest.raises(AgentError, match=r"x/a\.rpm is not a whole RPM: its header cannot be read: ") as caught:
        rpm.peek(io.BytesIO(nameless).read, "x/a.rpm")
    assert caught.value.failure.code is Code.PACKAGE_CORRUPT


BROKEN_BODIES = [
    (WHOLE[:-1], "the payload does not match its SHA-256 digest: cut short or changed"),
    (WHOLE[:PAYLOAD], "the payload does not match its SHA-256 digest"),
    (WHOLE + b"x", "the payload does not match its SHA-256 digest"),
    (flipped(WHOLE, len(WHOLE) - 20), "the payload does not match its SHA-256 digest"),
    (flipped(WHOLE, PAYLOAD - 5), "the header does not match its SHA-256 digest"),
]


@pytest.mark.parametrize(
    ("data", "message"), BROKEN_BODIES, ids=["cut", "no payload", "longer", "payload changed", "header changed"]
)
def test_a_truncated_or_changed_rpm_is_corrupt_and_named(tmp_path, data, message):
    with descriptor(tmp_path, data) as opened, pytest.raises(AgentError, match=message) as caught:
        rpm.inspect(opened, "extensions/kernel-rt-core.rpm")
    assert caught.value.failure.code is Code.PACKAGE_CORRUPT
    assert caught.value.failure.message.startswith("extensions/kernel-rt-core.rpm is not a whole RPM: ")


def test_a_package_without_a_digest_of_its_header_is_not_taken_on_trust(tmp_path):
    with (
        descriptor(tmp_path, retagged(WHOLE, 273, 1_000_000, 96)) as opened,
        pytest.raises(AgentError, match="the header does not match its SHA-256 digest"),
    ):
        rpm.inspect(opened, "a.rpm")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (retagged(WHOLE, 5092, 1_000_000, HEADER), "its header has no digest of the payload"),
        (
            retagged(retagged(WHOLE, 5093, 1_000_000, HEADER), 1125, 5093, HEADER),
            "the digest of its payload is not SHA-256",
        ),
    ],
)
def test_a_payload_without_a_digest_we_know_is_not_taken_on_trust(data, message):
    # A header built so would have a right digest of its own: the check behind it is asked directly.
    with pytest.raises(AgentError, match=message) as caught:
        rpm._promised_digest(rpm_rs.PackageMetadata.from_bytes(data[:PAYLOAD]), "a.rpm")
    assert caught.value.failure.code is Code.PACKAGE_CORRUPT


def test_a_name_no_package_can_have_is_corrupt(tmp_path):
    with (
        descriptor(tmp_path, built(name="kernel%rt")) as opened,
        pytest.raises(AgentError, match="its header cannot be read: name: 'kernel%rt' is not possible"),
    ):
        rpm.inspect(opened, "a.rpm")
