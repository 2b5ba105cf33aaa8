"""What has to hold of a fleet, whatever happened to it."""

from tests.fleet.fleet import Fleet
from tests.fleet.node import FleetNode
from tests.unit.nodes import EL9, EL9_RT


def slots_are_kept(fleet: Fleet) -> None:
    """Never more nodes out of service than there are slots, and none that went down without having one."""
    assert fleet.most_out <= fleet.options.slots, f"{fleet.most_out} nodes out at once"
    unlocked = [node.number for node in fleet.nodes if node.rebooted_without_lock]
    assert not unlocked, f"rebooted without a slot: {unlocked}"


def everybody_has_switched(fleet: Fleet) -> None:
    """All nodes run the real-time kernel, are steady and in service, and no slot is taken."""
    late = [(node.number, node.waits_for) for node in fleet.nodes if not _is_well(node, EL9_RT.uname)]
    assert not late, f"not there: {late}"
    assert not fleet.locks.holders
    assert not any(node.out for node in fleet.nodes)


def a_bad_image_took_no_more_than_the_slots(fleet: Fleet) -> None:
    """As many nodes as there are slots have tried it; all others run what they ran, in service, and wait."""
    tried = [node for node in fleet.nodes if node.reboots]
    assert len(tried) == fleet.options.slots
    for node in fleet.nodes:
        if node not in tried:
            assert not node.out
            assert node.waits_for.startswith("waits for the lock")
            assert node.uname == EL9.uname
    assert not any(node.uname == EL9_RT.uname for node in fleet.nodes if not node.dead)


def all_but_the_dead_are_back(fleet: Fleet) -> None:
    """After the config was taken back: on the default kernel, steady and in service; only the dead keep their slots."""
    dead = {node.number for node in fleet.nodes if node.dead}
    late = [node.number for node in fleet.nodes if not node.dead and not _is_well(node, EL9.uname)]
    assert not late, f"not back: {late}"
    assert fleet.locks.holders == dead


def _is_well(node: FleetNode, uname: str) -> bool:
    return node.steady and not node.out and not node.down and node.uname == uname
