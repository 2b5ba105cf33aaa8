"""Any record that can be remembered is remembered; any bytes are a record or refused."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import OwnArguments, Target
from mcd_rt.model.record import Attempt, Hold, Lock, Phase, Record, Resolved, Switch, Tries, Turn, Verified
from mcd_rt.record import load_record, save_record
from tests.effects_double import EffectsDouble

texts = st.text(max_size=20)
times = st.floats(allow_nan=False, allow_infinity=False)
words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+~]{0,9}", fullmatch=True)
packages = st.builds(
    Nevra,
    name=st.from_regex(r"[a-z][a-z0-9+-]{0,12}[a-z0-9]", fullmatch=True),
    epoch=st.integers(0, 2**32 - 1),
    version=words,
    release=words,
    architecture=st.sampled_from(["x86_64", "aarch64", "noarch"]),
)
several = st.lists(texts, max_size=3).map(tuple)
targets = st.builds(
    Target,
    kernel_type=st.sampled_from(KernelType),
    base=texts,
    image_digest=texts,
    packages=st.lists(packages, max_size=3).map(tuple),
    kernel_release=texts,
    kernel_arguments=several,
)
records = st.builds(
    Record,
    attempt=st.none()
    | st.builds(
        Attempt,
        target=targets,
        phase=st.sampled_from(Phase),
        boot_id=texts,
        started=times,
        deployment_id=texts,
        on_staged=st.booleans(),
        arguments=st.builds(OwnArguments, ours=several, gone=several),
        staged_at=times,
        luck=st.floats(0, 1, exclude_max=True),
    ),
    tries=st.dictionaries(texts, st.integers(0, 1000), max_size=3).map(
        lambda counts: tuple(Tries(target, counts[target]) for target in sorted(counts))
    ),
    reboots=st.lists(times, max_size=3).map(tuple),
    verified=st.none() | st.builds(Verified, target=targets, started=times, at=times, beside=several),
    failure=st.none() | st.builds(Failure, code=st.sampled_from(Code), message=texts, hint=texts),
    foreign_removals=several,
    hold=st.none() | st.builds(Hold, since=times, until=st.none() | times),
    lock=st.none() | st.builds(Lock, url=texts, group=texts, id=texts, granted=st.booleans()),
    sentinel=texts,
    hooks_due=st.booleans(),
    turn=st.none() | st.builds(Turn, image=texts, at=times),
    kernel_arguments=several,
    given_up=texts,
    switches=st.lists(st.builds(Switch, kernel_release=texts, started=times, ended=times), max_size=5).map(tuple),
    resolved=st.dictionaries(texts, texts, max_size=3).map(
        lambda digests: tuple(Resolved(reference, digests[reference]) for reference in sorted(digests))
    ),
).filter(lambda record: not (record.sentinel and record.attempt and record.attempt.phase is Phase.REBOOTING))
"""Whoever reboots by himself has asked nobody: only an earlier agent wrote it so, and it is read as what it meant."""


def written(place: str, content: bytes) -> HostPaths:
    paths = HostPaths(Path(place))
    paths.record.parent.mkdir(parents=True)
    paths.record.write_bytes(content)
    return paths


@given(records)
def test_any_record_is_remembered(record):
    with tempfile.TemporaryDirectory() as place:
        paths = HostPaths(Path(place))
        save_record(EffectsDouble(), paths, record)
        assert load_record(paths) == record


@given(records, st.data())
def test_a_damaged_record_is_another_one_or_refused(record, data):
    with tempfile.TemporaryDirectory() as place:
        paths = HostPaths(Path(place))
        save_record(EffectsDouble(), paths, record)
        content = bytearray(paths.record.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        paths.record.write_bytes(content)
        with contextlib.suppress(AgentError):
            load_record(paths)


@given(
    st.binary(max_size=100) | st.recursive(st.none() | st.integers() | texts, st.lists).map(lambda x: repr(x).encode())
)
def test_any_bytes_are_refused(content):
    with tempfile.TemporaryDirectory() as place:
        paths = written(place, content)
        with pytest.raises(AgentError) as caught:
            load_record(paths)
        assert caught.value.failure.code is Code.RECORD_UNREADABLE
