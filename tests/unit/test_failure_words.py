"""What is told of a failure is safe to print, whoever chose the words in it (promise 9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.errors import AgentError, Code, Failure, spelled_out


@pytest.mark.parametrize(
    ("foreign", "told"),
    [
        ("plain", "plain"),
        ("“quoted”, ø", "“quoted”, ø"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb", "a\\rb"),
        ("first\nsecond", "first\nsecond"),
        ("tab\there", "tab\\there"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202etxt", "\\u202etxt"),
    ],
)
def test_control_characters_of_others_are_spelled_out(foreign, told):
    failure = AgentError(Code.IMAGE_UNSAFE, f"an entry {foreign}", f"see {foreign}").failure
    assert (failure.message, failure.hint) == (f"an entry {told}", f"see {told}")
    assert failure == Failure(Code.IMAGE_UNSAFE, f"an entry {foreign}", f"see {foreign}")
    assert str(AgentError(Code.IMAGE_UNSAFE, foreign)) == told


@given(st.text())
def test_whatever_it_is_only_the_ends_of_lines_are_left(text):
    told = spelled_out(text)
    assert told.replace("\n", "").isprintable()
    assert spelled_out(told) == told
