r"""What the agent and the runner of hooks say to each other, over one stream socket; lines of JSON.

    → {"occasion": "pre-reboot", "timeout": 900000, "facts": {"target": ..., "kernel_type": "realtime", ...}}
    ← {"begun": "50-drain"}                  one for each hook, in order
    ← {"hook": "50-drain", "said": "..."}    what it prints, line by line
    ← {"done": 1}                            how many there were, or
    ← {"failed": {"code": "hook-failed", "message": ..., "hint": ...}}

On a host the runner is root and the agent is not: what it is asked for is one of two occasions and texts for an
environment, never a program, a path or a variable's name.
"""

import json
from dataclasses import asdict, fields
from enum import StrEnum, unique
from typing import assert_never

from mcd_rt.content.fields import JsonObject, integer, mapping, optional_text, parse_object, printable, text
from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen

LINE = 64 * 1024
LONGEST_TIMEOUT = 24 * 3600.0

_CODES = (Code.HOOK_FAILED, Code.HOOK_TIMEOUT, Code.HOOK_REFUSED)
_MOST_HOOKS = 1000
_LONGEST_FACT = 512


@unique
class Occasion(StrEnum):
    """When hooks run; the directories are ``pre-reboot.d`` and ``post-verify.d``."""

    PRE_REBOOT = "pre-reboot"
    POST_VERIFY = "post-verify"


@frozen
class Facts:
    """What a hook is told, in its environment: texts, empty where there is nothing to tell.

    ``target`` is the identity of the target, ``kernel_type`` what it brings, ``running`` the kernel that runs
    (``uname -r``), ``deployment`` the id of the deployment, ``config`` the name of the config that asks for it,
    ``reason`` a sentence for people.
    """

    target: str = ""
    kernel_type: str = ""
    running: str = ""
    deployment: str = ""
    config: str = ""
    reason: str = ""


@frozen
class Call:
    """Run the hooks of an occasion, each for at most ``timeout`` seconds."""

    occasion: Occasion
    facts: Facts
    timeout: float


@frozen
class Begun:
    """A hook was started."""

    hook: str


@frozen
class Said:
    """A hook printed a line."""

    hook: str
    line: str


@frozen
class Done:
    """All of them succeeded; the last answer."""

    count: int


@frozen
class Failed:
    """One of them did not, or must not be run; the last answer."""

    failure: Failure


Answer = Begun | Said | Done | Failed


def encode_call(call: Call) -> bytes:
    """The line to send; texts that are not ours are made printable and cut to fit."""
    facts = {name: printable(value, _LONGEST_FACT) for name, value in asdict(call.facts).items()}
    return _line({"occasion": call.occasion, "timeout": int(call.timeout * 1000), "facts": facts})


def decode_call(line: bytes) -> Call:
    """Raises ``ValueError`` for a line that is no call."""
    call = parse_object(line)
    facts = mapping(call, "facts")
    if unknown := facts.keys() - {field.name for field in fields(Facts)}:
        raise ValueError(f"facts: there is no fact {printable(min(unknown), 64)!r}")
    told = Facts(**{name: optional_text(facts, name) for name in facts})
    timeout = integer(call, "timeout", most=int(LONGEST_TIMEOUT * 1000))
    return Call(Occasion(text(call, "occasion")), told, timeout / 1000)


def encode_answer(answer: Answer) -> bytes:
    """The line to send."""
    match answer:
        case Begun(hook):
            return _line({"begun": hook})
        case Said(hook, line):
            return _line({"hook": hook, "said": printable(line)})
        case Done(count):
            return _line({"done": count})
        case Failed(failure):
            message, hint = printable(failure.message), printable(failure.hint)
            return _line({"failed": {"code": failure.code, "message": message, "hint": hint}})
        case _:
            assert_never(answer)


def decode_answer(line: bytes) -> Answer:
    """Raises ``ValueError`` for a line that is no answer."""
    answer = parse_object(line)
    if "begun" in answer:
        return Begun(text(answer, "begun"))
    if "said" in answer:
        return Said(text(answer, "hook"), text(answer, "said"))
    if "done" in answer:
        return Done(integer(answer, "done", most=_MOST_HOOKS))
    failed = mapping(answer, "failed")
    if (code := text(failed, "code")) not in _CODES:
        raise ValueError(f"code: {printable(code, 64)!r} is not one of hooks")
    return Failed(Failure(Code(code), text(failed, "message"), text(failed, "hint")))


def _line(values: JsonObject) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"
