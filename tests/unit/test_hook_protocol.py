"""What may be asked of the runner of hooks, who is root: two occasions, known facts, a bounded time; nothing else."""

import json

import pytest

from mcd_rt.errors import Code, Failure
from mcd_rt.hooks.protocol import (
    LINE,
    LONGEST_TIMEOUT,
    Begun,
    Call,
    Done,
    Facts,
    Failed,
    Occasion,
    Said,
    decode_answer,
    decode_call,
    encode_answer,
    encode_call,
)
from mcd_rt.hooks.serve import environment_of

GOOD = {"occasion": "pre-reboot", "timeout": 1500, "facts": {"target": "0123"}}


def call(**changes):
    return json.dumps(GOOD | changes).encode()


def test_a_call_is_what_was_asked_for():
    asked = Call(Occasion.POST_VERIFY, Facts("0123", "realtime", "5.14", "rhcos.0", "rendered", "why"), 900.5)
    assert decode_call(encode_call(asked)) == asked


def test_texts_of_a_call_are_made_printable_and_short():
    told = decode_call(encode_call(Call(Occasion.PRE_REBOOT, Facts(config="a\n\x1b[2J", reason="x" * 5000), 1.0))).facts
    assert told.config == "a\\n\\x1b[2J"
    assert len(told.reason) == 512


def test_the_longest_call_fits_a_line():
    worst = Facts(*["\N{GRINNING FACE}" * 600] * 6)
    line = encode_call(Call(Occasion.PRE_REBOOT, worst, LONGEST_TIMEOUT))
    assert len(line) < LINE
    assert decode_call(line).facts.target == "\N{GRINNING FACE}" * 512


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{",
        call(occasion="../../tmp"),
        call(occasion=None),
        call(facts={"LD_PRELOAD": "/tmp/own.so"}),
        call(facts={"target": "a\nb"}),
        call(facts={"target": "x" * 1025}),
        call(facts={"target": 1}),
        call(facts=[]),
        call(timeout=-1),
        call(timeout=int(LONGEST_TIMEOUT * 1000) + 1),
        call(timeout="1"),
    ],
)
def test_anything_else_is_no_call(line):
    with pytest.raises(ValueError, match=r"."):
        decode_call(line)


def test_facts_are_the_only_variables_a_call_can_set():
    told = environment_of(Occasion.PRE_REBOOT, Facts("t", "k", "r", "d", "c", "w"))
    assert {name for name in told if not name.startswith("MCD_RT_")} == {"PATH", "HOME", "LANG"}
    assert sorted(told[name] for name in told if name.startswith("MCD_RT_")) == [
        "c",
        "d",
        "k",
        "pre-reboot",
        "r",
        "t",
        "w",
    ]


@pytest.mark.parametrize(
    "answer",
    [Begun("50-drain"), Said("50-drain", "evicting"), Done(2), Failed(Failure(Code.HOOK_TIMEOUT, "too long", "hint"))],
)
def test_an_answer_is_what_was_said(answer):
    assert decode_answer(encode_answer(answer)) == answer


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"done":"2"}',
        b'{"failed":{"code":"internal-error","message":"m","hint":""}}',
        b'{"hook":"a","said":"\\u001b"}',
    ],
)
def test_anything_else_is_no_answer(line):
    with pytest.raises(ValueError, match=r"."):
        decode_answer(line)
