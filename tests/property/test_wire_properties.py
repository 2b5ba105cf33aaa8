"""Any value survives the wire; any bytes are a message or ``Malformed``, never another error, never for long."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.dbus.wire import HEAD, Kind, Malformed, Message, Typed, decode, encode, message_length

RANGES = {
    "y": (0, 2**8 - 1),
    "n": (-(2**15), 2**15 - 1),
    "q": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "u": (0, 2**32 - 1),
    "h": (0, 2**32 - 1),
    "x": (-(2**63), 2**63 - 1),
    "t": (0, 2**64 - 1),
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
interfaces = st.lists(names, min_size=2, max_size=4).map(".".join)
paths = st.lists(names, max_size=3).map(lambda parts: "/" + "/".join(parts))
BASIC = {token: st.integers(low, high) for token, (low, high) in RANGES.items()} | {
    "b": st.booleans(),
    "d": st.floats(allow_nan=False),
    "s": texts,
    "o": paths,
    "g": st.sampled_from(["", "s", "a{sv}", "(ss)ah"]),
}
signatures = st.recursive(
    st.sampled_from([*BASIC, "ay"]),
    lambda inner: st.one_of(
        inner.map(lambda one: one if one == "y" else f"a{one}"),
        inner.map(lambda one: f"a{{s{one}}}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({''.join(parts)})"),
        st.just("v"),
    ),
    max_leaves=4,
)


@st.composite
def typed(draw: st.DrawFn) -> Typed:
    """A value with its signature."""
    signature = draw(signatures)
    value, rest = draw_value(draw, signature)
    assert rest == ""
    return Typed(signature, value)


def draw_value(draw: st.DrawFn, signature: str) -> tuple[object, str]:
    """A value of the first complete type of a signature, and the rest of it."""
    first, rest = signature[0], signature[1:]
    if first in BASIC:
        return draw(BASIC[first]), rest
    if first == "v":
        token = draw(st.sampled_from(sorted(BASIC)))
        return Typed(token, draw(BASIC[token])), rest
    if first == "(":
        parts = []
        while rest[0] != ")":
            part, rest = draw_value(draw, rest)
            parts.append(part)
        return parts, rest[1:]
    if rest[0] == "y":
        return draw(st.binary(max_size=9)), rest[1:]
    if rest[0] == "{":
        drawn = [draw_value(draw, rest[2:]) for _ in range(draw(st.integers(1, 3)))]
        keys = draw(st.lists(texts, max_size=len(drawn), unique=True))
        return {key: value for key, (value, _) in zip(keys, drawn, strict=False)}, drawn[0][1][1:]
    drawn = [draw_value(draw, rest) for _ in range(draw(st.integers(1, 3)))]
    return [value for value, _ in drawn[1:]], drawn[0][1]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """A message of any kind with any body."""
    kind = draw(st.sampled_from(Kind))
    values = draw(st.lists(typed(), max_size=3).filter(lambda all_: sum(len(one.signature) for one in all_) < 256))
    answers = kind in (Kind.RETURN, Kind.ERROR)
    return Message(
        kind,
        serial=draw(st.integers(1, 2**32 - 1)),
        reply_serial=draw(st.integers(1, 2**32 - 1)) if answers else 0,
        destination=draw(st.just("") | interfaces | st.just(":1.42")),
        path="" if answers else draw(paths),
        interface="" if answers else draw(interfaces),
        member="" if answers else draw(names),
        error=draw(interfaces) if kind is Kind.ERROR else "",
        signature="".join(value.signature for value in values),
        body=[value.value for value in values],
        wants_reply=draw(st.booleans()),
    )


def decoded(data: bytes) -> Message | None:
    try:
        return decode(data)[0]
    except Malformed:
        return None


@given(messages())
def test_any_message_survives_the_wire(message):
    data = encode(message)
    assert message_length(data[:HEAD]) == len(data)
    assert decode(data) == (message, 0)


@given(messages(), st.data())
def test_a_damaged_message_is_another_one_or_malformed(message, data):
    damaged = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    found = decoded(bytes(damaged))
    assert found is None or (isinstance(found.sender, str) and isinstance(found.reply_serial, int))


@given(messages(), st.data())
def test_a_truncated_message_is_malformed(message, data):
    whole = encode(message)
    with pytest.raises(Malformed):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(garbage):
    decoded(garbage)
    if len(garbage) >= HEAD:
        with contextlib.suppress(Malformed):
            assert message_length(garbage[:HEAD]) >= HEAD
