"""What an ostree commit says is read as ostree wrote it; hostile bytes are refused in our own words."""

import hashlib
from pathlib import Path

import pytest

from mcd_rt.content.commit import read_commit
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.gvariant import Member, array, octets, pack, string, uint64, variant

RECORDED = Path(__file__).parent / "commits"
FULL = "5b42a4b5931c375aba77ff450bd8d411ff38853107b6d4676540a82a5c733e7e"
BARE = "157bb076b0ba900b951a5c808c10fb7efb5821c43a53049c0460121abfd09e12"
NOTHING = array(())


def recorded(checksum: str) -> bytes:
    return (RECORDED / f"{checksum}.commit").read_bytes()


def commit(**says: Member) -> bytes:
    items = [Member(pack(string(key.replace("__", ".")), value).data, 8) for key, value in says.items()]
    return commit_of(array(items, 8))


def commit_of(metadata: Member) -> bytes:
    csum = octets(bytes(32))
    return pack(metadata, octets(b""), NOTHING, string(""), string(""), uint64(0), csum, csum).data


def refused(data: bytes) -> tuple[Code, str]:
    with pytest.raises(AgentError) as caught:
        read_commit(data, hashlib.sha256(data).hexdigest())
    assert caught.value.failure.hint
    return caught.value.failure.code, caught.value.failure.message


def test_a_commit_made_by_ostree_is_read():
    found = read_commit(recorded(FULL), FULL)
    assert (found.version, found.kernel_release) == ("416.94.1", "5.14.0-284.el9.x86_64")
    assert (found.checksum, found.architecture) == (FULL, "x86_64")
    assert found.kernels == (
        *(Nevra(name, 0, "5.14.0", "284.el9", "x86_64") for name in ("kernel", "kernel-core", "kernel-modules-core")),
        Nevra("kernel-tools-libs", 1, "5.14.0", "284.el9", "x86_64"),
    )


def test_a_commit_that_says_nothing_is_one_and_lists_no_packages():
    found = read_commit(recorded(BARE), BARE)
    assert (found.version, found.kernel_release, found.architecture, found.kernels) == ("", "", "", None)


def test_other_bytes_than_the_checksum_says_are_not_even_looked_at():
    with pytest.raises(AgentError) as caught:
        read_commit(recorded(BARE), FULL)
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH
    assert FULL in caught.value.failure.message


def test_every_truncation_and_every_changed_byte_is_refused_or_read_never_anything_else():
    data = recorded(FULL)
    changed = [
        data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] for at in range(len(data)) for bit in (1, 0x80, 0xFF)
    ]
    outcomes = set()
    for attempt in [data[:end] for end in range(len(data))] + changed:
        try:
            read_commit(attempt, hashlib.sha256(attempt).hexdigest())
            outcomes.add("read")
        except AgentError as error:
            outcomes.add(error.failure.code)
    assert outcomes == {"read", Code.IMAGE_UNREADABLE}


PACKAGE = pack(*map(string, ("kernel", "0", "5", "1", "x86_64")))
BAD = [
    (b"", "a container is smaller than its offsets"),
    (bytes(64), "is none"),
    (b"\xff" * 64, "lies outside"),
    (commit(version=variant("t", uint64(1))), "version is of the type 't', expected a string"),
    (commit(version=variant("s", string("a\x1b]0;b"))), "version is not a short printable text"),
    (commit(version=variant("s", string("a" * 257))), "version is not a short printable text"),
    (commit(version=variant("s", Member(b"a\0b\0"))), "a string does not end where it should"),
    (commit(version=variant("s", Member(b"\xff\xfe\0"))), "can't decode"),
    (commit(version=Member(b"no type", 8)), "a variant does not say its type"),
    (commit(rpmostree__rpmdb__pkglist=variant("as", NOTHING)), "is of the type 'as', expected 'a(sssss)'"),
    (
        commit(
            rpmostree__rpmdb__pkglist=variant("a(sssss)", array([pack(*map(string, ("kernel", "x", "5", "1", "a")))]))
        ),
        "the epoch of 'kernel' is 'x'",
    ),
    (
        commit(
            rpmostree__rpmdb__pkglist=variant(
                "a(sssss)", array([pack(*map(string, ("kernel/..", "0", "5", "1", "a")))])
            )
        ),
        "name: 'kernel/..' is not possible",
    ),
    (commit(rpmostree__rpmdb__pkglist=variant("a(sssss)", array([PACKAGE] * 65537))), "65537 items, more than 65536"),
    (
        commit_of(array([Member(pack(string("version"), variant("s", string("a"))).data, 8)] * 2, 8)),
        "it says 'version' twice",
    ),
]


@pytest.mark.parametrize(("data", "message"), BAD, ids=[message for _, message in BAD])
def test_what_no_commit_can_be_is_refused_with_its_reason(data, message):
    code, found = refused(data)
    assert code is Code.IMAGE_UNREADABLE
    assert message in found


def test_packages_that_are_no_kernels_may_have_any_shape():
    odd = pack(*map(string, ("gpg-pubkey", "none", "fd431d51", "4ae0493b", "(none)")))
    data = commit(rpmostree__rpmdb__pkglist=variant("a(sssss)", array([odd, PACKAGE])))
    found = read_commit(data, hashlib.sha256(data).hexdigest())
    assert found.kernels == (Nevra("kernel", 0, "5", "1", "x86_64"),)
