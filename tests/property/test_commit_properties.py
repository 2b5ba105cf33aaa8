"""Commits of any size are read as they were written; any bytes at all are read or refused."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.content import gvariant
from mcd_rt.content.commit import read_commit
from mcd_rt.sim import gvariant as written
from mcd_rt.sim.ostree import build_os
from tests.fuzz.verdict import documented

WORD = st.from_regex(r"[a-z0-9][a-z0-9.+_]{0,60}", fullmatch=True)
ARCHITECTURE = st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True)  # a dot in it would be one of the release
NAME = st.sampled_from(["kernel", "kernel-core", "bash"])
NEVRA = st.builds("{0}-{1}-{2}.{3}".format, NAME, WORD, WORD, ARCHITECTURE)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
SHAPES = {"s": (gvariant.STRING, written.string), "t": (gvariant.UINT64, written.uint64)}


@given(st.text("abc.1", max_size=200), st.lists(NEVRA, max_size=2000, unique=True), WORD)
def test_a_commit_is_read_as_it_was_written(version, packages, kernel_release):
    system = build_os(version, packages, kernel_release)
    found = read_commit(system.commit, system.checksum)
    assert (found.version, found.kernel_release) == (version, kernel_release)
    assert [str(nevra) for nevra in found.kernels or ()] == [each for each in packages if each.startswith("kernel")]


@given(st.lists(TEXT.map(lambda text: ("s", text)) | st.integers(0, 2**64 - 1).map(lambda n: ("t", n)), min_size=1))
def test_tuples_are_taken_apart_as_they_were_put_together(values):
    members = [SHAPES[kind][1](value) for kind, value in values]
    found = gvariant.members_of(written.pack(*members).data, [SHAPES[kind][0] for kind, _ in values])
    assert list(found) == [member.data for member in members]


@given(st.lists(TEXT, max_size=3000))
def test_arrays_are_taken_apart_as_they_were_put_together(texts):
    data = written.array([written.string(text) for text in texts]).data
    assert [gvariant.string_of(item) for item in gvariant.items_of(data, 1, 3000)] == texts


@given(st.binary(max_size=400))
def test_any_bytes_are_a_commit_or_refused(data):
    with documented(("image-unreadable",)):
        read_commit(data, hashlib.sha256(data).hexdigest())
