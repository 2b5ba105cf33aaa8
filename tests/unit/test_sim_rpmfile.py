"""An RPM behind a descriptor: header and payload, the offset, and what is no RPM."""

import os
from pathlib import Path

import pytest

from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.faults import PAYLOAD_CORRUPT, PAYLOAD_UNRECOGNIZED
from mcd_rt.sim.image import build_rpm
from mcd_rt.sim.rpmfile import read_rpm
from mcd_rt.sim.world import Rpm

RELEASE = "5.14.0-284.rt14.el9.x86_64+rt"
CORE = build_rpm(Nevra.parse("kernel-rt-core-5.14.0-284.rt14.el9.x86_64"), kernel_release=RELEASE, payload=b"k" * 500)
EPOCH = build_rpm(Nevra.parse("podman-2:4.4.1-3.el9.x86_64"), payload=b"p")


def read(data: bytes, tmp_path: Path, offset: int = 0) -> tuple[Rpm | str, int]:
    path = tmp_path / "x.rpm"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return read_rpm(descriptor), os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)


def test_identity_kernel_and_offset(tmp_path: Path) -> None:
    rpm, offset = read(CORE, tmp_path)
    assert isinstance(rpm, Rpm)
    assert (rpm.nevra, rpm.name, rpm.kernel_release) == (
        "kernel-rt-core-5.14.0-284.rt14.el9.x86_64", "kernel-rt-core", RELEASE,
    )  # fmt: skip
    assert len(rpm.sha256) == 64
    assert offset == len(CORE), "the offset is the sender's too, and is moved"


def test_an_epoch_is_part_of_it_and_other_packages_have_no_kernel(tmp_path: Path) -> None:
    rpm, _offset = read(EPOCH, tmp_path)
    assert isinstance(rpm, Rpm)
    assert (rpm.nevra, rpm.kernel_release) == ("podman-2:4.4.1-3.el9.x86_64", "")


@pytest.mark.parametrize(
    ("data", "offset", "text"),
    [
        (b"garbage" * 100, 0, PAYLOAD_UNRECOGNIZED.text),
        (b"", 0, PAYLOAD_UNRECOGNIZED.text),
        (CORE[:150], 0, PAYLOAD_UNRECOGNIZED.text),
        (CORE, len(CORE), PAYLOAD_UNRECOGNIZED.text),
        (CORE[:-10] + b"0123456789", 0, PAYLOAD_CORRUPT.text),
    ],
)
def test_what_is_no_rpm_from_where_the_offset_is(data: bytes, offset: int, text: str, tmp_path: Path) -> None:
    assert read(data, tmp_path, offset)[0] == text
