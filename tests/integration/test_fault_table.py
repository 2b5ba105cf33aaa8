"""The table of faults (``tests/reliability``): three of its rows, that it can fail, and that the docs have all."""

import re
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.model.state import State
from mcd_rt.sim.world import Tree
from tests.reliability.faults import run_faults
from tests.reliability.faults_kinds import Kind, try_kind
from tests.reliability.faults_levers import nothing, once
from tests.reliability.faults_table import KINDS

PAGE = Path(__file__).parents[2] / "docs/reliability-faults.md"
BY_NAME = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize(
    "name", ["success that is none: another", "power cut: staging", "no descriptors left for a transaction"]
)
def test_a_row_of_the_table_holds(name: str) -> None:
    assert try_kind(BY_NAME[name]) == []


@asynccontextmanager
async def mixed(trial) -> Iterator[None]:
    """Somebody leaves half a kernel to be booted, and drops the pinned deployment."""
    node = trial.node

    def mix() -> None:
        origin = replace(node.booted.tree.origin, removals=("kernel-core",))
        node.another_client_stages(Tree(node.booted.tree.base, origin))
        node.rpm_ostree.system = replace(node.rpm_ostree.system, deployments=(node.booted,))

    trial.on_enter = once(trial, State.STAGING, mix)
    yield


def test_a_mixture_that_could_boot_and_what_others_lost_are_named() -> None:
    broken = try_kind(Kind("mixed", mixed))
    assert any("mixed: this could boot" in what for what in broken), str(broken)
    assert any("a pinned deployment is gone" in what for what in broken), str(broken)


def test_a_node_that_does_not_get_there_is_told_with_what_was_seen(monkeypatch) -> None:
    monkeypatch.setattr("tests.reliability.faults_trial.PATIENCE", 2.0)
    kind = Kind("never seen", nothing(), (State.HELD, None))
    assert try_kind(kind) == ["never seen: it came to staging > rebooting > verifying > steady"]


def test_a_sample_is_every_fifth(monkeypatch) -> None:
    tried = []
    monkeypatch.setattr("tests.reliability.faults.worker_pool", _Here)
    monkeypatch.setattr("tests.reliability.faults.try_kind", lambda kind: tried.append(kind) or ["broken"])
    tally = run_faults(True, 3)
    assert tally.tried == len(tried) == len(tally.violations)
    assert len(KINDS) // 5 <= tally.tried <= len(KINDS) // 5 + 1


class _Here:
    """A pool without processes."""

    map = staticmethod(map)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_there_are_enough_kinds_each_with_its_own_name_and_all_are_in_the_docs() -> None:
    assert len(BY_NAME) == len(KINDS) >= 30
    documented = re.findall(r"^\| ([^|]+?) \|", PAGE.read_text(), re.MULTILINE)
    assert [name for name in documented if name not in ("fault", "---")] == [kind.name for kind in KINDS]
