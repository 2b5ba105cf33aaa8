"""The record survives what happens to files; a damaged or newer one is refused, never believed, never overwritten."""

import errno
import json
import os
from dataclasses import replace

import pytest

from mcd_rt.effects import unfinished
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import OwnArguments, Target
from mcd_rt.model.record import Attempt, Phase, Record, Resolved, Switch, Tries, Verified
from mcd_rt.record import VERSION, drop_unfinished, load_record, save_record, set_record_aside
from tests.effects_double import EffectsDouble, Killed

TARGET = Target(
    KernelType.REALTIME,
    "b" * 64,
    "sha256:" + "d" * 64,
    (Nevra("kernel-rt-core", 1, "5.14.0", "284.rt14.el9", "x86_64"),),
    "5.14.0-284.rt14.el9.x86_64+rt",
    ("nosmt", 'dyndbg="file a.c +p"'),
)
OWN = OwnArguments(("nosmt", "nosmt"), ("quiet",))
RECORD = Record(
    attempt=Attempt(TARGET, Phase.STAGED, "boot", 17.5, "rhcos-1.0", on_staged=True, arguments=OWN),
    tries=(Tries("t" * 64, 2),),
    reboots=(1.0, 2.5),
    verified=Verified(TARGET, 3.0, 4.0, ("rhcos-0.0", "rhcos-0.1")),
    failure=Failure(Code.ROLLED_BACK, "it booted the old one", "see the journal"),
    foreign_removals=("kernel-modules-extra",),
    kernel_arguments=("nosmt", "nosmt"),
    given_up="t" * 64,
    resolved=(Resolved("registry.example/os:4.16", "sha256:" + "d" * 64),),
    switches=(
        Switch(KernelType.REALTIME, "5.14.0-284.el9", 1.0, 2.0, Code.NOT_FINALIZED),
        Switch(KernelType.REALTIME, "5.14.0-284.rt14.el9+rt", 3.0, 4.0),
    ),
)
EVERY_EFFECT = 7


@pytest.fixture
def paths(tmp_path):
    return HostPaths(tmp_path)


def failure_of(paths):
    with pytest.raises(AgentError) as caught:
        load_record(paths)
    return caught.value.failure


def names(paths):
    return sorted(path.name for path in paths.record.parent.iterdir())


def rewritten(paths, change):
    """Save the record, change its document, and put it back."""
    save_record(EffectsDouble(), paths, RECORD)
    document = json.loads(paths.record.read_bytes())
    paths.record.write_text(json.dumps(change(document)))


def test_where_nothing_was_remembered_the_record_is_empty(paths):
    assert load_record(paths) == Record()


def test_what_was_remembered_is_remembered(paths):
    for record in (RECORD, Record(), RECORD):
        save_record(EffectsDouble(), paths, record)
        assert load_record(paths) == record
    assert names(paths) == ["record.json"]


def test_it_is_durable_before_anything_follows(paths):
    effects = EffectsDouble()
    save_record(effects, paths, RECORD)
    kinds = [effect.kind for effect in effects.attempted]
    assert kinds == ["make_directory", "remove", "create", "write", "fsync", "rename", "fsync_directory"]
    assert len(kinds) == EVERY_EFFECT


@pytest.mark.parametrize("nth", range(1, EVERY_EFFECT + 1))
def test_killed_at_any_instant_the_old_or_the_new_record_is_there(paths, nth):
    save_record(EffectsDouble(), paths, Record())
    effects = EffectsDouble()
    effects.kill(nth)
    with pytest.raises(Killed):
        save_record(effects, paths, RECORD)
    renamed = nth == EVERY_EFFECT
    assert load_record(paths) == (RECORD if renamed else Record())
    save_record(EffectsDouble(), paths, RECORD)  # what the killed one left is in nobody's way
    assert load_record(paths) == RECORD
    assert names(paths) == ["record.json"]


@pytest.mark.parametrize("kind", ["make_directory", "remove", "create", "write", "fsync", "rename"])
def test_a_full_disk_leaves_the_old_record_and_nothing_else(paths, kind):
    save_record(EffectsDouble(), paths, Record(reboots=(1.0,)))
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(AgentError) as caught:
        save_record(effects, paths, RECORD)
    assert caught.value.failure.code is Code.WRITE_FAILED
    assert str(paths.record) in caught.value.failure.message
    assert "No space left on device" in caught.value.failure.message
    assert load_record(paths) == Record(reboots=(1.0,))
    assert names(paths) == ["record.json"]


def test_every_truncation_is_refused(paths):
    save_record(EffectsDouble(), paths, RECORD)
    whole = paths.record.read_bytes()
    for size in range(len(whole) - 1):  # the last byte is only a newline
        paths.record.write_bytes(whole[:size])
        failure = failure_of(paths)
        assert failure.code is Code.RECORD_UNREADABLE, size
        assert paths.record.read_bytes() == whole[:size]
    assert "retry" in failure.hint


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0" * 100,
        b"\xff\xfe{}",
        b"null",
        b"7",
        b'"x"',
        b"[]",
        b"{}",
        b'{"version": 1}',
        b"[" * 100_000,
        b'{"version": 1' + b"0" * 5000 + b"}",
    ],
)
def test_garbage_is_refused(paths, garbage):
    paths.record.parent.mkdir(parents=True)
    paths.record.write_bytes(garbage)
    assert failure_of(paths).code is Code.RECORD_UNREADABLE
    assert paths.record.read_bytes() == garbage


WRONG = {
    "no version": lambda document: {key: value for key, value in document.items() if key != "version"},
    "an older version": lambda document: document | {"version": 0},
    "a version that is a truth": lambda document: document | {"version": True},
    "a version that is a text": lambda document: document | {"version": "1"},
    "no tries": lambda document: {key: value for key, value in document.items() if key != "tries"},
    "tries that are a list": lambda document: document | {"tries": []},
    "a count that is a text": lambda document: document | {"tries": {"t": "2"}},
    "a count that is a truth": lambda document: document | {"tries": {"t": True}},
    "a reboot that is a text": lambda document: document | {"reboots": ["yesterday"]},
    "a reboot that is a truth": lambda document: document | {"reboots": [True]},
    "a reboot that is no number": lambda document: document | {"reboots": [float("nan")]},
    "a reboot that never comes": lambda document: document | {"reboots": [float("inf")]},
    "a reboot beyond all numbers": lambda document: document | {"reboots": [10**400]},
    "an attempt that is a list": lambda document: document | {"attempt": []},
    "an attempt without a target": lambda document: document | {"attempt": {"phase": "staged"}},
    "an unknown phase": lambda document: document | {"attempt": document["attempt"] | {"phase": "dreaming"}},
    "a start that is nothing": lambda document: document | {"attempt": document["attempt"] | {"started": None}},
    "an unknown code": lambda document: document | {"failure": {"code": "no-such", "message": "", "hint": ""}},
    "a message that is nothing": lambda document: document | {"failure": {"code": "rolled-back", "message": None}},
    "removals that are a text": lambda document: document | {"foreign_removals": "kernel"},
    "removals that are numbers": lambda document: document | {"foreign_removals": [1]},
    "kernel arguments that are a text": lambda document: document | {"kernel_arguments": "nosmt"},
    "kernel arguments that are numbers": lambda document: document | {"kernel_arguments": [1]},
    "no kernel arguments": lambda document: {
        key: value for key, value in document.items() if key != "kernel_arguments"
    },
    "own arguments that are nothing": lambda document: (
        document | {"attempt": document["attempt"] | {"own_arguments": None}}
    ),
    "gone arguments that are a text": lambda document: (
        document | {"attempt": document["attempt"] | {"gone_arguments": "quiet"}}
    ),
    "a digest that is a number": lambda document: document | {"resolved": {"registry.example/os:4.16": 7}},
    "resolved tags that are a list": lambda document: document | {"resolved": []},
    "what was there beside is a number": lambda document: document | {"verified": document["verified"] | {"beside": 7}},
    "switches that are a number": lambda document: document | {"switches": 7},
    "a switch that is a number": lambda document: document | {"switches": [7]},
    "a switch without a code": lambda document: document | {"switches": [{"kernel_type": "realtime"}]},
    "a switch with another code": lambda document: document | {"switches": [document["switches"][0] | {"code": "x"}]},
    "an unknown kernel type": lambda document: (
        document
        | {"verified": document["verified"] | {"target": document["verified"]["target"] | {"kernel_type": "x"}}}
    ),
    "a hold without a beginning": lambda document: document | {"hold": {"until": None}},
    "a hold that ends in words": lambda document: document | {"hold": {"since": 1.0, "until": "tomorrow"}},
    "a lock without a server": lambda document: document | {"lock": {"group": "g", "id": "i", "granted": True}},
    "a lock that is granted perhaps": lambda document: (
        document | {"lock": {"url": "u", "group": "g", "id": "i", "granted": 1}}
    ),
    "a sentinel that is a number": lambda document: document | {"sentinel": 1},
    "a turn that never comes": lambda document: document | {"turn": {"image": "i", "at": float("inf")}},
    "a luck that is a text": lambda document: document | {"attempt": document["attempt"] | {"luck": "good"}},
    "a package that is none": lambda document: (
        document | {"verified": document["verified"] | {"target": document["verified"]["target"] | {"packages": ["x"]}}}
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_record_of_another_shape_is_refused(paths, wrong):
    rewritten(paths, WRONG[wrong])
    failure = failure_of(paths)
    assert failure.code is Code.RECORD_UNREADABLE
    assert str(paths.record) in failure.message


def test_a_record_from_before_there_was_more_to_reboots_is_read(paths):
    added = ("hold", "lock", "sentinel", "hooks_due", "turn")

    def older(document):
        attempt = {key: value for key, value in document["attempt"].items() if key not in ("staged_at", "luck")}
        verified = {key: value for key, value in document["verified"].items() if key != "beside"}
        kept = {key: value for key, value in document.items() if key not in added}
        return kept | {"attempt": attempt, "verified": verified}

    rewritten(paths, older)
    assert load_record(paths) == replace(RECORD, verified=replace(RECORD.verified, beside=()))


@pytest.mark.parametrize("version", [VERSION + 1, 10**9])
def test_a_newer_record_is_refused_and_left_as_it_is(paths, version):
    rewritten(paths, lambda document: document | {"version": version, "novelty": {}})
    before = paths.record.read_bytes()
    failure = failure_of(paths)
    assert failure.code is Code.RECORD_TOO_NEW
    assert f"version {version}" in failure.message
    assert paths.record.read_bytes() == before


def test_a_record_that_cannot_be_opened_is_refused(paths):
    paths.record.mkdir(parents=True)
    assert "Is a directory" in failure_of(paths).message


def test_a_damaged_record_is_kept_aside(paths):
    paths.record.parent.mkdir(parents=True)
    paths.record.write_bytes(b"damaged")
    set_record_aside(EffectsDouble(), paths)
    assert names(paths) == ["record.damaged"]
    assert (paths.record.parent / "record.damaged").read_bytes() == b"damaged"
    assert load_record(paths) == Record()


def test_a_record_that_cannot_be_set_aside_is_a_failure(paths):
    with pytest.raises(AgentError) as caught:
        set_record_aside(EffectsDouble(), paths)
    assert caught.value.failure.code is Code.WRITE_FAILED
    assert str(paths.record) in caught.value.failure.message


def test_what_a_death_left_half_written_goes_at_the_next_look(paths):
    effects = EffectsDouble()
    drop_unfinished(effects, paths)
    assert effects.attempted == [], "nothing there, nothing done"
    save_record(effects, paths, RECORD)
    left = unfinished(paths.record)
    left.write_bytes(b"half")
    drop_unfinished(effects, paths)
    assert not left.exists()
    assert load_record(paths) == RECORD


def test_what_cannot_be_removed_is_told(paths):
    save_record(EffectsDouble(), paths, RECORD)
    left = unfinished(paths.record)
    left.write_bytes(b"half")
    effects = EffectsDouble()
    effects.fail("remove", OSError(errno.EROFS, os.strerror(errno.EROFS)))
    with pytest.raises(AgentError) as caught:
        drop_unfinished(effects, paths)
    assert caught.value.failure.code is Code.WRITE_FAILED
    assert caught.value.failure.message == f"cannot remove {left}: Read-only file system"
