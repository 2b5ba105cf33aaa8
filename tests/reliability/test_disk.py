"""Whole or not at all: the model of what a power cut leaves, and the table of what was tried."""

import errno
import os

import pytest

from mcd_rt.effects import write_durably
from mcd_rt.sim.faults import Faults
from tests.effects_double import Effect, EffectsDouble, Killed
from tests.reliability.disk import Cut, Disk
from tests.reliability.forked import tell
from tests.reliability.points import Seen, Way, enumerate_points
from tests.reliability.states import World
from tests.reliability.tally import Row, Tally, last_line, table
from tests.reliability.watched import WatchedEffects


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "lib"
    place.mkdir()
    (place / "file").write_bytes(b"old")
    return place


@pytest.fixture
def disk(place):
    disk = Disk((place,))
    disk.begin()
    return disk


def effects_on(disk):
    return EffectsDouble(WatchedEffects(disk, Faults(), lambda: None, lambda _label: None, lambda: tell(b"")))


def cut_at(disk, place, nth, cut):
    """Replace the file, lose power before the nth effect, and return what is there then."""
    effects = effects_on(disk)
    effects.kill(nth)
    with pytest.raises(Killed):
        write_durably(effects, place / "file", b"new content")
    disk.lose_power(cut)
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("nth", range(1, 8))
def test_a_file_that_is_replaced_durably_is_whole_whenever_power_is_cut(disk, place, nth, cut):
    assert cut_at(disk, place, nth, cut)["file"] in (b"old", b"new content")


def test_what_was_synced_stays(disk, place):
    write_durably(effects_on(disk), place / "file", b"new content")
    disk.lose_power(Cut.LOST)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"file": b"new content"}


@pytest.mark.parametrize(("cut", "left"), [(Cut.LOST, {"file": b"old"}), (Cut.TORN, {"file": b"new c"})])
def test_what_was_renamed_without_a_sync_is_lost_or_cut_short(disk, place, cut, left):
    effects = effects_on(disk)
    descriptor = effects.create(place / "next", 0o600)
    effects.write(descriptor, b"new content")
    os.close(descriptor)
    effects.rename(place / "next", place / "file")
    disk.lose_power(cut)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == left


@pytest.mark.parametrize(
    ("synced", "cut", "left"),
    [
        (False, Cut.LOST, set()),
        (False, Cut.TORN, {"whole/file"}),
        (True, Cut.LOST, {"half/file"}),
        (True, Cut.TORN, {"whole/file"}),
    ],
)
def test_a_directory_has_its_new_name_with_all_that_is_in_it_or_the_old_one(disk, place, synced, cut, left):
    effects = effects_on(disk)
    effects.make_directory(place / "half", 0o700)
    os.close(effects.create(place / "half/file", 0o600))
    if synced:
        effects.sync_filesystem(place)
    effects.rename(place / "half", place / "whole")
    disk.lose_power(cut)
    assert {str(path.relative_to(place)) for path in place.rglob("*/*")} == left


def test_a_directory_whose_name_was_synced_keeps_it(disk, place):
    effects = effects_on(disk)
    effects.make_directory(place / "half", 0o700)
    os.close(effects.create(place / "half/file", 0o600))
    effects.sync_filesystem(place)
    effects.rename(place / "half", place / "whole")
    effects.fsync_directory(place)
    disk.lose_power(Cut.LOST)
    assert sorted(path.name for path in place.iterdir()) == ["file", "whole"]
    assert (place / "whole/file").exists()


def test_a_file_in_a_directory_that_was_never_synced_is_lost_with_it(disk, place):
    effects = effects_on(disk)
    effects.make_directory(place / "entry", 0o700)
    write_durably(effects, place / "entry/file", b"new")
    before = disk.fingerprint_left(Cut.LOST)
    disk.lose_power(Cut.LOST)
    assert [path.name for path in place.iterdir()] == ["file"]
    effects.make_directory(place / "entry", 0o700)
    effects.fsync_directory(place)
    write_durably(effects, place / "entry/file", b"new")
    disk.lose_power(Cut.LOST)
    assert (place / "entry/file").read_bytes() == b"new"
    assert disk.fingerprint_left(Cut.LOST) != before


def test_what_was_removed_is_back_until_its_directory_was_synced(disk, place):
    effects = effects_on(disk)
    effects.remove(place / "file")
    disk.lose_power(Cut.LOST)
    assert (place / "file").read_bytes() == b"old"
    effects.remove(place / "file")
    effects.fsync_directory(place)
    disk.lose_power(Cut.LOST)
    assert list(place.iterdir()) == []


def test_points_with_the_same_world_are_tried_once_and_failures_each():
    state = Effect("write", "/var/lib/mcd-rt/.record.json.new")
    status = Effect("write", "/run/mcd-rt/.status.json.new")
    call = Effect("mutate", "rpm-ostree Cleanup")
    seen = tuple(Seen(effect, World(now, 1, 1)) for effect, now in ((state, 1), (status, 1), (status, 2), (call, 3)))
    points = enumerate_points(seen)
    tried = [(point.nth, point.way, point.error) for point in points]
    assert [nth for nth, way, _ in tried if way is Way.STOP] == [1, 3, 4]
    assert [nth for nth, way, _ in tried if way in (Way.POWER_LOST, Way.POWER_TORN)] == [1]
    assert {error for nth, way, error in tried if (nth, way) == (1, Way.FAIL)} == {
        errno.ENOSPC,
        errno.EIO,
        errno.EROFS,
    }
    assert [nth for nth, way, _ in tried if way is Way.FAIL_ALL] == [2, 2, 2]
    assert [way for nth, way, _ in tried if nth == 4 and way is not Way.STOP] == [
        Way.FAIL,
        Way.ANSWER_LOST,
        Way.POWER_AFTER,
        Way.INSIDE,
        Way.INSIDE,
        Way.POWER_INSIDE,
        Way.POWER_INSIDE,
    ]
    assert len({str(point) for point in points}) == len(points)


def test_the_last_line_counts_what_ran_and_what_was_broken():
    cuts = Tally("cut points", 40, ("it broke",), (Row("install", 279, 40),))
    assert last_line((cuts, Tally("cut points", 3), Tally("breakages", 9))) == "cut points 43, violations 1"
    assert last_line((cuts, Tally("faults", 31), Tally("fuzz", 7))) == "cut points 40, faults 31, fuzz 7, violations 1"
    assert table((cuts,)).splitlines()[-1] == "install      279     40      0      0"
