"""A package is taken if one of the keys signed it, whoever judges; who judged is said."""

import base64
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
import rpm_rs

from mcd_rt.content import rpm, trust
from mcd_rt.content.keys import find_keys, open_keys
from mcd_rt.content.trust import DigestsOnly, Key, signed_by
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Judge
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.demokey import PUBLIC_KEY
from mcd_rt.sim.image import build_rpm
from tests.leaks import leaves_nothing

NEVRA = Nevra("kernel-rt-core", 0, "5.14.0", "1.el9", "x86_64")
SIGNED = build_rpm(NEVRA, payload=b"kernel" * 1000)
UNSIGNED = build_rpm(NEVRA, payload=b"kernel" * 1000, secret_key="")
KEY = Key("demo", PUBLIC_KEY.encode())
OTHER = Key(
    "another",
    b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEX14QABYJKwYBBAHaRw8BAQdAmLUjMBjj9d9/POIll7m45ODwVIjgLg0bBw7S
tjziaji0FWFub3RoZXIga2V5IGZvciB0ZXN0c4iQBBMWCAA4FiEER0CngUmv8iIH
RoSl0xUV8crhNEMFAl9eEAACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ
0xUV8crhNEPYZQEAjbVRs65xdQBf4tn3HPkiQOHmaI9ff85SHAyqrgSSqNQBAPQY
POsJazACuJeJhlUqW+m6OjOwG3Vdp/lO+POlQBgI
=jUZY
-----END PGP PUBLIC KEY BLOCK-----
""",
)
JUDGES = [
    pytest.param(Judge.RPM_RS),
    pytest.param(Judge.RPMKEYS, marks=pytest.mark.skipif(which("rpmkeys") is None, reason="this host has no rpmkeys")),
]


@pytest.fixture(params=JUDGES)
def judge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Judge:
    if request.param is Judge.RPM_RS:
        monkeypatch.setattr(trust, "which", lambda _program: None)
    return request.param


@contextmanager
def opened(place: Path, data: bytes) -> Iterator[int]:
    path = place / "file"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def refusal(place: Path, data: bytes, *keys: Key) -> tuple[Code, str]:
    with opened(place, data) as descriptor, pytest.raises(AgentError) as caught, signed_by(keys) as judging:
        rpm.inspect(descriptor, "x/a.rpm", judging)
    assert caught.value.failure.hint
    return caught.value.failure.code, caught.value.failure.message


def test_what_one_of_the_keys_signed_is_taken(tmp_path, judge):
    with leaves_nothing(), opened(tmp_path, SIGNED) as descriptor:
        for keys in ((KEY,), (OTHER, KEY), (KEY, Key("nonsense", b"no key"))):
            with signed_by(keys) as judging:
                found = rpm.inspect(descriptor, "a.rpm", judging)
            assert (found.nevra, found.judge) == (NEVRA, judge)
            assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0


def test_a_file_may_hold_several_keys(tmp_path, judge):
    with opened(tmp_path, SIGNED) as descriptor, signed_by((Key("all", OTHER.data + KEY.data),)) as judging:
        assert rpm.inspect(descriptor, "a.rpm", judging).judge is judge


def test_a_key_may_be_binary(tmp_path, judge):
    """As `gpg --export` writes it."""
    lines = KEY.data.decode().partition("\n\n")[2].partition("-----END")[0].splitlines()
    binary = Key("binary", base64.b64decode("".join(line for line in lines if not line.startswith("="))))
    for keys in ((binary,), (OTHER, binary), (Key("cut", binary.data[:40]), binary)):
        with opened(tmp_path, SIGNED) as descriptor, signed_by(keys) as judging:
            assert rpm.inspect(descriptor, "a.rpm", judging).judge is judge


def test_what_another_key_signed_is_refused(tmp_path, judge):
    code, message = refusal(tmp_path, SIGNED, OTHER)
    assert code is Code.PACKAGE_SIGNATURE_BAD
    said = "rpm-rs says" if judge is Judge.RPM_RS else r"rpmkeys says 'Header .*: NOKEY'"
    assert re.match(f"the signature of x/a.rpm is by none of the keys, or wrong: {said}", message)


def test_what_nobody_signed_is_refused(tmp_path, judge):
    assert refusal(tmp_path, UNSIGNED, KEY) == (Code.PACKAGE_UNSIGNED, "x/a.rpm has no signature of its header")


def test_a_signature_of_another_package_is_refused(tmp_path, judge):
    other = rpm_rs.Package.from_bytes(build_rpm(NEVRA, payload=b"other"))
    graft = rpm_rs.Package.from_bytes(UNSIGNED)
    graft.apply_signature(bytes(other.raw_signatures()[0]))
    code, _ = refusal(tmp_path, bytes(graft.to_bytes()), KEY)
    assert code is Code.PACKAGE_SIGNATURE_BAD


def test_a_payload_that_was_changed_is_no_question_of_signatures(tmp_path, judge):
    code, _ = refusal(tmp_path, SIGNED[:-20] + b"x" + SIGNED[-19:], KEY)
    assert code is Code.PACKAGE_CORRUPT


def test_without_a_key_that_can_be_used_nothing_is_judged(tmp_path, judge):
    for keys in ((), (Key("nonsense", b"no key"),)):
        code, message = refusal(tmp_path, SIGNED, *keys)
        assert code is Code.PACKAGE_SIGNATURE_BAD
        assert message == f"no public key can be used of {'nonsense' if keys else 'no files'}"


def test_digests_only_takes_anything_whole_and_says_that_nobody_judged(tmp_path):
    with opened(tmp_path, UNSIGNED) as descriptor:
        assert rpm.inspect(descriptor, "a.rpm", DigestsOnly()).judge is Judge.NOBODY


@pytest.fixture
def rpmkeys_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have RPM say this of every package, and be content."""

    def says(text: str) -> None:
        program = tmp_path / "rpmkeys"
        program.write_text(f"#!/bin/sh\ncat <<END\n{text}\nEND\n")
        program.chmod(0o755)
        monkeypatch.setattr(trust, "which", lambda _program: str(program))

    return says


@pytest.mark.parametrize("said", ["digests OK", "    Header SHA256 digest: OK", "    Header RSA signature: NOTFOUND"])
def test_a_judge_that_passes_a_package_without_looking_at_signatures_is_not_believed(tmp_path, rpmkeys_says, said):
    rpmkeys_says(f"-:\n{said}")
    code, message = refusal(tmp_path, SIGNED, KEY)
    assert code is Code.PACKAGE_SIGNATURE_BAD
    assert message.endswith(f"rpmkeys says {said.strip()!r}")


def test_a_payload_that_the_judge_did_not_look_at_is_compared_with_its_digest_all_the_same(tmp_path, rpmkeys_says):
    rpmkeys_says("-:\n    Header V4 RSA/SHA256 Signature, key ID 01234567: OK\n    Payload SHA256 digest: NOTFOUND")
    with opened(tmp_path, SIGNED) as descriptor, signed_by((KEY,)) as judging:
        assert rpm.inspect(descriptor, "a.rpm", judging).nevra == NEVRA
    assert refusal(tmp_path, SIGNED[:-1] + b"x", KEY)[0] is Code.PACKAGE_CORRUPT


def test_a_payload_that_the_judge_compared_is_not_read_again(tmp_path, rpmkeys_says, monkeypatch):
    monkeypatch.setattr(rpm, "_payload_digest", None)
    rpmkeys_says("-:\n    Header V4 RSA/SHA256 Signature, key ID 01234567: OK\n    Payload SHA256 digest: OK")
    with opened(tmp_path, SIGNED) as descriptor, signed_by((KEY,)) as judging:
        assert rpm.inspect(descriptor, "a.rpm", judging).judge is Judge.RPMKEYS


# Where keys are found


def test_keys_are_files_and_those_in_directories_each_once(tmp_path):
    keys = tmp_path / "etc/pki/rpm-gpg"
    keys.mkdir(parents=True)
    for name in ("b", "a"):
        (keys / name).write_text(name)
    (keys / "link").symlink_to("a")
    (keys / "dangling").symlink_to("nowhere")
    (keys / "directory").mkdir()
    (tmp_path / "own.asc").write_text("own")
    found = find_keys(HostPaths(tmp_path), ("/etc/pki/rpm-gpg", "/own.asc", "/absent"))
    assert found == (keys / "a", keys / "b", tmp_path / "own.asc")
    with leaves_nothing(), open_keys(found) as descriptors:
        assert [os.read(descriptor, 9) for descriptor in descriptors] == [b"a", b"b", b"own"]


def test_too_few_and_too_many_keys_are_told(tmp_path):
    for count, expected in (
        (0, "0 files of public keys are in /keys, expected 1 to 256"),
        (257, "257 files of public"),
    ):
        keys = tmp_path / str(count) / "keys"
        keys.mkdir(parents=True)
        for number in range(count):
            (keys / str(number)).touch()
        with pytest.raises(AgentError, match=expected) as caught:
            find_keys(HostPaths(tmp_path / str(count)), ("/keys",))
        assert caught.value.failure.code is Code.PACKAGE_SIGNATURE_BAD


def test_a_key_that_went_away_is_named(tmp_path):
    with pytest.raises(AgentError, match="gone cannot be opened: No such file") as caught:
        open_keys([tmp_path / "gone"]).__enter__()
    assert caught.value.failure.code is Code.PACKAGE_SIGNATURE_BAD


def test_two_packages_are_judged_at_a_time_and_each_for_itself(tmp_path, judge):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with leaves_nothing(), opened(tmp_path / "a", SIGNED) as good, opened(tmp_path / "b", UNSIGNED) as bad:
        with (
            signed_by((KEY,)) as judging,
            rpm.inspecting(good, "good.rpm", judging) as finish_good,
            rpm.inspecting(bad, "bad.rpm", judging) as finish_bad,
        ):
            with pytest.raises(AgentError) as caught:
                finish_bad()
            assert caught.value.failure.code is Code.PACKAGE_UNSIGNED
            assert finish_good().nevra == NEVRA
        assert [os.lseek(file, 0, os.SEEK_CUR) for file in (good, bad)] == [0, 0]


def test_a_judgement_nobody_waits_for_leaves_nothing_running(tmp_path, judge):
    with leaves_nothing(), opened(tmp_path, SIGNED) as descriptor, signed_by((KEY,)) as judging:
        with rpm.inspecting(descriptor, "a.rpm", judging):
            pass
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0


def test_a_payload_with_one_bit_changed_is_corrupt_whoever_judges(tmp_path, judge):
    changed = SIGNED[:-1] + bytes([SIGNED[-1] ^ 1])
    assert refusal(tmp_path, changed, KEY)[0] is Code.PACKAGE_CORRUPT


def test_no_keys_at_all_are_no_key(judge):
    with pytest.raises(AgentError) as caught, signed_by(()):
        pass
    assert caught.value.failure.code is Code.PACKAGE_SIGNATURE_BAD
