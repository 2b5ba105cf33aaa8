"""The write-ahead record on disk: ``/var/lib/mcd-rt/record.json``.

Versioned: a newer agent's record is refused and never overwritten; a damaged one is kept for a person
to see, and nothing is done until ``retry`` sets it aside, because the brake's memory is in it.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TypeVar

from mcd_rt.effects import Effects, unfinished, write_durably
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import OwnArguments, Target
from mcd_rt.model.record import Attempt, Hold, Lock, Phase, Record, Resolved, Switch, Tries, Turn, Verified

VERSION = 1
_ADDED: dict[str, object] = {
    "switches": [],
    "hold": None,
    "lock": None,
    "sentinel": "",
    "hooks_due": False,
    "turn": None,
}
"""What records of earlier versions do not have."""

Json = Mapping[str, object]
Part = TypeVar("Part")
T = TypeVar("T", str, bool, int, float, list[object], dict[str, object])


def load_record(paths: HostPaths) -> Record:
    """What was remembered; an empty record where there is none.

    Raises ``AgentError``: ``record-unreadable`` or ``record-too-new``.
    """
    try:
        text = paths.record.read_bytes()
    except FileNotFoundError:
        return Record()
    except OSError as error:
        raise _unreadable(paths, str(error.strerror)) from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(paths, str(error)) from error
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise AgentError(
            Code.RECORD_TOO_NEW,
            f"{paths.record} is of version {version}, this agent knows {VERSION}",
            "install the newer mcd-rt again; the record is left as it is",
        )
    try:
        return _record(_ADDED | document)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _unreadable(paths, str(error)) from error


def save_record(effects: Effects, paths: HostPaths, record: Record) -> None:
    """Remember; returns when it is durable. Raises ``AgentError`` (``write-failed``)."""
    write_durably(effects, paths.record, json.dumps(_document(record), indent=1, sort_keys=True).encode() + b"\n")


def drop_unfinished(effects: Effects, paths: HostPaths) -> None:
    """Remove what an agent left that died while it remembered; raises ``AgentError`` (``write-failed``)."""
    left = unfinished(paths.record)
    if not left.exists():
        return
    try:
        effects.remove(left)
    except OSError as error:
        raise AgentError(Code.WRITE_FAILED, f"cannot remove {left}: {error.strerror}", "is it writable?") from error


def set_record_aside(effects: Effects, paths: HostPaths) -> None:
    """Keep a damaged record under another name; raises ``AgentError`` (``write-failed``)."""
    aside = paths.record.with_suffix(".damaged")
    try:
        effects.rename(paths.record, aside)
    except OSError as error:
        hint = "make the place writable, or move the file away yourself"
        raise AgentError(Code.WRITE_FAILED, f"cannot rename {paths.record}: {error.strerror}", hint) from error


def _unreadable(paths: HostPaths, why: str) -> AgentError:
    hint = f"`mcd-rt retry` keeps it as {paths.record.with_suffix('.damaged').name} and begins a new one"
    return AgentError(Code.RECORD_UNREADABLE, f"{paths.record} cannot be read: {why}", hint)


def _document(record: Record) -> dict[str, object]:
    attempt, verified, failure = record.attempt, record.verified, record.failure
    return {
        "version": VERSION,
        "attempt": attempt
        and {
            "target": _target_document(attempt.target),
            "phase": attempt.phase.value,
            "boot_id": attempt.boot_id,
            "started": attempt.started,
            "deployment_id": attempt.deployment_id,
            "on_staged": attempt.on_staged,
            "own_arguments": list(attempt.arguments.ours),
            "gone_arguments": list(attempt.arguments.gone),
            "staged_at": attempt.staged_at,
            "luck": attempt.luck,
        },
        "tries": {tries.target: tries.count for tries in record.tries},
        "reboots": list(record.reboots),
        "verified": verified
        and {
            "target": _target_document(verified.target),
            "started": verified.started,
            "at": verified.at,
            "beside": list(verified.beside),
        },
        "failure": failure and {"code": failure.code.value, "message": failure.message, "hint": failure.hint},
        "foreign_removals": list(record.foreign_removals),
        "kernel_arguments": list(record.kernel_arguments),
        "given_up": record.given_up,
        "resolved": {resolved.reference: resolved.digest for resolved in record.resolved},
        "switches": [asdict(switch) for switch in record.switches],
        "hold": record.hold and asdict(record.hold),
        "lock": record.lock and asdict(record.lock),
        "sentinel": record.sentinel,
        "hooks_due": record.hooks_due,
        "turn": record.turn and asdict(record.turn),
    }


def _target_document(target: Target) -> dict[str, object]:
    return {
        "kernel_type": target.kernel_type.value,
        "base": target.base,
        "image_digest": target.image_digest,
        "packages": [str(package) for package in target.packages],
        "kernel_release": target.kernel_release,
        "kernel_arguments": list(target.kernel_arguments),
    }


def _record(document: Json) -> Record:
    if _get(document, "version", 0) != VERSION:
        raise ValueError(f"its version is {document['version']}")
    attempt = _optional(document, "attempt", _attempt)
    if attempt is not None and attempt.phase is Phase.REBOOTING and _get(document, "sentinel", ""):
        attempt = replace(attempt, phase=Phase.ASKED)  # as an earlier agent wrote it
    tries = _get(document, "tries", dict[str, object]())
    resolved = _get(document, "resolved", dict[str, object]())
    return Record(
        attempt=attempt,
        tries=tuple(Tries(target, _get(tries, target, 0)) for target in tries),
        reboots=tuple(_number(value) for value in _get(document, "reboots", list[object]())),
        verified=_optional(document, "verified", _verified),
        failure=_optional(document, "failure", _failure),
        foreign_removals=_strings(document, "foreign_removals"),
        kernel_arguments=_strings(document, "kernel_arguments"),
        given_up=_get(document, "given_up", ""),
        resolved=tuple(Resolved(reference, _get(resolved, reference, "")) for reference in resolved),
        switches=tuple(map(_switch, _get(document, "switches", list[object]()))),
        hold=_optional(document, "hold", _hold),
        lock=_optional(document, "lock", _lock),
        sentinel=_get(document, "sentinel", ""),
        hooks_due=_get(document, "hooks_due", default=False),
        turn=_optional(document, "turn", lambda turn: Turn(_get(turn, "image", ""), _number(turn["at"]))),
    )


def _hold(document: Json) -> Hold:
    until = document["until"]
    return Hold(_number(document["since"]), None if until is None else _number(until))


def _lock(document: Json) -> Lock:
    url, group, name = (_get(document, key, "") for key in ("url", "group", "id"))
    return Lock(url, group, name, granted=_get(document, "granted", default=False))


def _verified(document: Json) -> Verified:
    target = _target(_get(document, "target", dict[str, object]()))
    beside = _strings(document, "beside") if "beside" in document else ()  # not in records of earlier versions
    return Verified(target, _number(document["started"]), _number(document["at"]), beside)


def _switch(value: object) -> Switch:
    if not isinstance(value, dict):
        raise TypeError("a switch must be an object")
    code = value["code"]
    return Switch(
        kernel_type=KernelType(_get(value, "kernel_type", "")),
        kernel_release=_get(value, "kernel_release", ""),
        started=_number(value["started"]),
        ended=_number(value["ended"]),
        code=None if code is None else Code(code),
    )


def _failure(document: Json) -> Failure:
    return Failure(Code(_get(document, "code", "")), _get(document, "message", ""), _get(document, "hint", ""))


def _attempt(document: Json) -> Attempt:
    return Attempt(
        target=_target(_get(document, "target", dict[str, object]())),
        phase=Phase(_get(document, "phase", "")),
        boot_id=_get(document, "boot_id", ""),
        started=_number(document["started"]),
        deployment_id=_get(document, "deployment_id", ""),
        on_staged=_get(document, "on_staged", default=False),
        arguments=OwnArguments(_strings(document, "own_arguments"), _strings(document, "gone_arguments")),
        staged_at=_number(document.get("staged_at", 0.0)),
        luck=_number(document.get("luck", 0.0)),
    )


def _target(document: Json) -> Target:
    return Target(
        kernel_type=KernelType(_get(document, "kernel_type", "")),
        base=_get(document, "base", ""),
        image_digest=_get(document, "image_digest", ""),
        packages=tuple(Nevra.parse(text) for text in _strings(document, "packages")),
        kernel_release=_get(document, "kernel_release", ""),
        kernel_arguments=_strings(document, "kernel_arguments"),
    )


def _optional(document: Json, key: str, read: Callable[[Json], Part]) -> Part | None:
    return None if document[key] is None else read(_get(document, key, dict[str, object]()))


def _strings(document: Json, key: str) -> tuple[str, ...]:
    values = _get(document, key, list[object]())
    strings = tuple(value for value in values if isinstance(value, str))
    if len(strings) != len(values):
        raise TypeError(f"{key} must hold strings")
    return strings


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise TypeError(f"{str(value)[:100]} is not a number")
    return float(value)


def _get(document: Json, key: str, default: T) -> T:
    """The value of a key that must be there and of the default's type."""
    value = document[key]
    if type(value) is not type(default):
        raise TypeError(f"{key} is {value!r}")
    return value
