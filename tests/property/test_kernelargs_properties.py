"""Kernel arguments: what is joined splits back, and no text is split into something that is not one argument."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.model.kernelargs import is_one_argument, split_arguments
from tests.property.arguments import ARGUMENTS

SPACES = st.text(" \t", min_size=1, max_size=3)


@given(st.lists(ARGUMENTS, max_size=6), st.data())
def test_what_is_joined_splits_back(arguments, data):
    text = "".join(argument + data.draw(SPACES) for argument in arguments)
    assert split_arguments(data.draw(SPACES) + text) == tuple(arguments)
    assert split_arguments(" ".join(arguments)) == tuple(arguments)
    assert all(is_one_argument(argument) for argument in arguments)


@given(st.text(max_size=30) | st.text('a=" \t\n\0\u00a0', max_size=12))
def test_any_text_is_split_into_single_arguments_or_refused(text):
    with suppress(ValueError):
        arguments = split_arguments(text)
        assert all(is_one_argument(argument) for argument in arguments)
        assert "".join(arguments) == "".join(arguments).strip(" \t")
        assert split_arguments(" ".join(arguments)) == arguments
