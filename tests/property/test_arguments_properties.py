"""Kernel arguments: what is wanted is there, nothing of others is lost, and once is enough."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.model.plan import OwnArguments
from mcd_rt.plan.kernelargs import are_gone, change_arguments, changed_arguments, missing_arguments, ours_among

FEW = st.lists(st.sampled_from(("a", "b", "k=1", "k=2", 'd="x y"')), max_size=5).map(tuple)


def applied(
    current: tuple[str, ...], own: OwnArguments, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], OwnArguments]:
    """The arguments after a change, and what is ours of them."""
    change, after = change_arguments(current, own, wanted)
    return (current, after) if change is None else (changed_arguments(change), after)


@given(FEW, FEW, FEW)
def test_every_wanted_argument_is_there_and_everything_of_others(current, ours, wanted):
    result, own = applied(current, OwnArguments(ours), wanted)
    foreign = Counter(current) - Counter(ours_among(current, ours))
    assert Counter(result) == foreign | Counter(wanted)
    assert Counter(own.ours) == Counter(wanted) - foreign
    assert missing_arguments(wanted, result) == ()
    assert own.gone == () or are_gone(own.gone, result)
    assert {*own.gone} == {argument for argument in ours if result.count(argument) < current.count(argument)}
    assert not own.gone or not are_gone(own.gone, current)


@given(FEW, FEW, FEW)
def test_once_changed_there_is_nothing_to_change(current, ours, wanted):
    result, own = applied(current, OwnArguments(ours), wanted)
    assert change_arguments(result, own, wanted)[0] is None


@given(FEW, FEW)
def test_new_arguments_stand_at_the_end_in_the_order_of_the_config(current, wanted):
    result, own = applied(current, OwnArguments(), wanted)
    assert result == current + own.ours
    rest = iter(wanted)
    assert all(argument in rest for argument in own.ours)


@given(FEW, st.lists(FEW, max_size=4))
def test_after_any_configs_the_arguments_of_others_are_as_they_were(current, configs):
    result, own = current, OwnArguments()
    for wanted in [*configs, ()]:
        result, own = applied(result, own, wanted)
    assert own.ours == ()
    assert Counter(result) == Counter(current)
