"""The keys of a host are known by what is in them: another set of them is another identity."""

import os
import shutil
from pathlib import Path

import pytest

from mcd_rt.content import keys
from mcd_rt.content.keys import digest_of_key, identity_of_keys, open_keys, read_identity
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from tests.leaks import leaves_nothing

SOURCES = ("/keys", "/own.asc")


@pytest.fixture
def host(tmp_path: Path) -> HostPaths:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/a").write_bytes(b"one key")
    (tmp_path / "keys/b").write_bytes(b"another key" * 100_000)
    return HostPaths(tmp_path)


def test_the_identity_is_that_of_the_contents(host, tmp_path):
    before = read_identity(host, SOURCES)
    with leaves_nothing():
        assert read_identity(host, SOURCES) == before
    shutil.move(tmp_path / "keys/a", tmp_path / "own.asc")
    assert read_identity(host, SOURCES) == before
    shutil.copy(tmp_path / "own.asc", tmp_path / "keys/c")
    assert read_identity(host, SOURCES) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "own.asc").write_bytes(b"a third key"),
        lambda top: (top / "keys/a").unlink(),
        lambda top: (top / "keys/a").write_bytes(b"one kex"),
        lambda top: (top / "keys/b").write_bytes(b"another key" * 99_999 + b"another kex"),
        lambda top: (top / "keys/a").write_bytes(b""),
    ],
)
def test_a_key_more_or_less_or_changed_is_another_identity(host, tmp_path, change):
    before = read_identity(host, SOURCES)
    change(tmp_path)
    assert read_identity(host, SOURCES) != before


def test_the_digest_is_of_the_file_that_was_opened_and_leaves_its_offset(host, tmp_path):
    file = tmp_path / "keys/a"
    with leaves_nothing(), open_keys([file]) as (descriptor,):
        file.unlink()
        file.write_bytes(b"put in its place")
        opened = digest_of_key(file, descriptor)
        assert os.read(descriptor, 100) == b"one key"
    with open_keys([file]) as (descriptor,):
        assert digest_of_key(file, descriptor) != opened


def test_the_order_of_keys_does_not_count():
    assert identity_of_keys(["b", "a", "b"]) == identity_of_keys(["a", "b"])
    assert identity_of_keys(["a"]) != identity_of_keys(["b"])


def test_a_key_that_cannot_be_read_is_named(host, monkeypatch):
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(keys.os, "pread", broken)
    with leaves_nothing(), pytest.raises(AgentError, match="keys/a cannot be read: Input/output error") as caught:
        read_identity(host, SOURCES)
    assert caught.value.failure.code is Code.PACKAGE_SIGNATURE_BAD


def test_no_keys_are_no_identity(tmp_path):
    with pytest.raises(AgentError, match=r"0 files of public keys are in /keys, /own\.asc, expected 1 to 256"):
        read_identity(HostPaths(tmp_path), SOURCES)
