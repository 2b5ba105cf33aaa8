"""A small fleet: the lock's slots are never exceeded, a bad image stops, the rest converges.

``tox -e fleet`` does the same with a thousand, and draws docs/fleet.png.
"""

from dataclasses import replace

import pytest

from tests.fleet.claims import (
    a_bad_image_took_no_more_than_the_slots,
    all_but_the_dead_are_back,
    everybody_has_switched,
    slots_are_kept,
)
from tests.fleet.fleet import HOUR, Options, run_fleet
from tests.fleet.node import LAYER_BYTES, Luck

FLEET = Options(nodes=40, slots=8, lasts=6 * HOUR)
USUAL = Luck(fetch_fails=0.1, not_finalized=0.1)


@pytest.mark.parametrize("seed", [1, 2])
def test_all_nodes_switch_and_never_more_are_out_of_service_than_there_are_slots(seed):
    fleet = run_fleet(replace(FLEET, luck=USUAL, seed=seed))
    slots_are_kept(fleet)
    everybody_has_switched(fleet)
    assert max(node.reboots for node in fleet.nodes) > 1  # some had to try again
    assert fleet.most_out == fleet.options.slots  # as many as may, did


def test_without_the_lock_there_would_be_more():
    fleet = run_fleet(replace(FLEET, strategy="immediate"))
    with pytest.raises(AssertionError, match="out at once"):
        slots_are_kept(fleet)
    assert fleet.most_out > 3 * fleet.options.slots


@pytest.mark.parametrize("dies", [0.0, 0.5, 1.0])
def test_a_bad_image_stops_after_as_many_nodes_as_there_are_slots(dies):
    fleet = run_fleet(replace(FLEET, nodes=30, slots=3, luck=Luck(bad_image=True, dies=dies), lasts=3 * HOUR))
    slots_are_kept(fleet)
    a_bad_image_took_no_more_than_the_slots(fleet)


def test_after_a_bad_image_was_taken_back_all_that_live_are_as_they_were():
    bad = Luck(bad_image=True, dies=0.5)
    fleet = run_fleet(replace(FLEET, nodes=30, slots=6, luck=bad, back_at=2 * HOUR, lasts=3 * HOUR))
    slots_are_kept(fleet)
    all_but_the_dead_are_back(fleet)
    assert 0 < len(fleet.locks.holders) < 6  # some died, some fell back


def test_a_config_that_is_taken_back_in_the_middle_turns_all_around():
    fleet = run_fleet(replace(FLEET, back_at=0.5 * HOUR, luck=USUAL))
    slots_are_kept(fleet)
    all_but_the_dead_are_back(fleet)
    assert {node.reboots for node in fleet.nodes} >= {0, 2}  # some never went, some went and came back


def test_while_the_lock_server_is_silent_nobody_reboots_and_afterwards_all_do():
    begin, end = 0.5 * HOUR, 1.5 * HOUR
    fleet = run_fleet(replace(FLEET, silent=(begin, end), luck=USUAL))
    slots_are_kept(fleet)
    everybody_has_switched(fleet)
    before, after = (max(count for at, count in fleet.steady if at <= time) for time in (begin, end))
    assert after - before <= fleet.options.slots  # those that had a slot
    assert fleet.finished_at > end


def test_a_splay_spreads_what_is_asked_of_the_registry():
    at_once = run_fleet(replace(FLEET, strategy="never", lasts=2 * HOUR)).registry
    spread = run_fleet(replace(FLEET, strategy="never", fetch_splay=HOUR, lasts=2 * HOUR)).registry
    assert sum(at_once.sent.values()) == sum(spread.sent.values()) == 40 * LAYER_BYTES
    assert max(spread.sent.values()) * 2 < max(at_once.sent.values())
    assert max(spread.requests.values()) * 2 < max(at_once.requests.values())


def test_a_splay_spreads_reboots_that_nothing_else_holds_back():
    at_once = run_fleet(replace(FLEET, strategy="immediate"))
    spread = run_fleet(replace(FLEET, strategy="immediate", reboot_splay=2 * HOUR))
    everybody_has_switched(spread)
    assert spread.most_out * 2 < at_once.most_out
