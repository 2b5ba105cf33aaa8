"""Whatever is on a line between the agent and the runner of hooks, it is understood or refused, and nothing else."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.hooks.protocol import (
    LINE,
    LONGEST_TIMEOUT,
    Call,
    Facts,
    Occasion,
    Said,
    decode_answer,
    decode_call,
    encode_answer,
    encode_call,
)
from mcd_rt.hooks.serve import environment_of

FACTS = st.builds(Facts, *[st.text()] * 6)
CALLS = st.builds(Call, st.sampled_from(Occasion), FACTS, st.floats(0, LONGEST_TIMEOUT))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(
    st.binary() | st.builds(lambda value: repr(value).replace("'", '"').encode(), st.dictionaries(st.text(), VALUES))
)
def test_a_line_of_anything_is_refused_as_such(line):
    for decode in (decode_call, decode_answer):
        with suppress(ValueError):
            decode(line)


@given(CALLS)
def test_a_call_fits_its_line_and_arrives(call):
    line = encode_call(call)
    assert len(line) <= LINE
    assert line.count(b"\n") == 1
    told = decode_call(line)
    assert (told.occasion, abs(told.timeout - call.timeout) < 0.01) == (call.occasion, True)
    for value in environment_of(told.occasion, told.facts).values():
        assert value.isprintable()


@given(st.text())
def test_what_a_hook_says_is_one_line_of_a_log(text):
    said = decode_answer(encode_answer(Said("50-drain", text)))
    assert isinstance(said, Said)
    assert said.line.isprintable()
