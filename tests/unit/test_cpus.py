"""Which CPUs are left for keeping house, from the kernel command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.model.cpus import housekeeping_cpus

EIGHT = frozenset(range(8))


@pytest.mark.parametrize(
    ("argument", "left"),
    [
        ("isolcpus=2-7", {0, 1}),
        ("isolcpus=managed_irq,domain,2-7", {0, 1}),
        ("nohz_full=1,3,5-6", {0, 2, 4, 7}),
        ("rcu_nocbs=4-N", {0, 1, 2, 3}),
        ("isolcpus=N", set(range(7))),
        ("isolcpus=0-7:1/4", {1, 2, 3, 5, 6, 7}),
        ("nohz_full=2-900", {0, 1}),
        ('isolcpus="2-7"', {0, 1}),
    ],
)
def test_a_list_sets_cpus_apart(argument, left):
    assert housekeeping_cpus(["quiet", argument, "rw"], EIGHT, 8) == left


@pytest.mark.parametrize(
    "argument", ["isolcpus=", "isolcpus", "isolcpus=7-2", "isolcpus=1-2-3", "isolcpus=x,1", "isolcpus=1:0/0", "isol=1"]
)
def test_what_the_kernel_ignores_sets_none_apart(argument):
    assert housekeeping_cpus([argument], EIGHT, 8) == EIGHT


@pytest.mark.parametrize("argument", ["rcu_nocbs=all", "nohz_full=0-N", "isolcpus=3,4"])
def test_nobody_is_left_without_a_cpu(argument):
    assert housekeeping_cpus([argument], frozenset({3, 4}), 8) == {3, 4}


def test_several_arguments_add_up_and_what_systemd_took_away_stays_away():
    assert housekeeping_cpus(["isolcpus=2,3", "nohz_full=4-7"], frozenset({0, 2, 5}), 8) == {0}


@given(st.lists(st.text(max_size=12).map(lambda text: f"isolcpus={text}")), st.sets(st.integers(0, 7), min_size=1))
def test_whatever_stands_there_the_cpus_are_some_of_the_allowed(arguments, allowed):
    found = housekeeping_cpus(arguments, frozenset(allowed), 8)
    assert found
    assert found <= allowed
