"""The status file: what the agent last said, for ``mcd-rt status`` and whoever watches the node."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from mcd_rt.effects import Effects, write_durably
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Switch
from mcd_rt.model.state import State

VERSION = 1
"""Of the document (``status.schema.json``): keys may be added to it, but none may go or come to mean something else."""

_HINT = "`systemctl status mcd-rt` tells why; `mcd-rt run` starts it in the foreground"


@frozen
class PastFailure:
    """A failure, and when it was met."""

    failure: Failure
    at: float


@frozen
class Status:
    """All that is said. Times are seconds since the epoch; empty and ``None`` mean not known.

    ``failure`` is why the node is not where it should be, met first at ``failure_since`` and not overcome since;
    ``last_failure`` why the last boot did not bring the target up; ``last_error`` the latest of all, perhaps overcome
    long ago; ``also`` what does not work beside the kernel. ``config`` is the config that decides the kernel type, in
    the file ``config_source``. ``staged_as`` is the kernel type of what is staged.
    ``progress`` is the text of the running step and ``percent`` how far it is, -1 where it does not say.
    ``trusted_by`` is who judged the signatures of the packages in use (``nobody`` is said loudly), ``read_by`` the
    way their image was read. ``verified_at`` is when the running kernel was last seen to be the wanted one after a
    switch, ``switch_seconds`` how long that took from its first step. ``held``: a person said that the node does not
    reboot, until ``held_until`` or with no end; ``lock`` is the lock server of which this node holds a slot.
    ``awaiting`` is what a staged change waits for.
    """

    state: State
    since: float
    boot_id: str
    pid: int
    summary: str = ""
    failure: Failure | None = None
    last_failure: Failure | None = None
    next_attempt: float | None = None
    config: str = ""
    wanted: str = ""
    image: str = ""
    running: str = ""
    kernel_release: str = ""
    booted: str = ""
    staged: str = ""
    progress: str = ""
    percent: int = -1
    trusted_by: str = ""
    read_by: str = ""
    verified_at: float | None = None
    switch_seconds: float | None = None
    config_source: str = ""
    staged_as: str = ""
    staged_locked: bool = False
    failure_since: float | None = None
    last_error: PastFailure | None = None
    also: tuple[Failure, ...] = ()
    switches: tuple[Switch, ...] = ()
    held: bool = False
    held_until: float | None = None
    lock: str = ""
    awaiting: Awaiting | None = None


def codes_of(status: Status) -> tuple[Code, ...]:
    """The codes of everything that is told, each once: what is wrong, and what is just waited for."""
    reason = None if status.awaiting is None else status.awaiting.reason
    return _codes(status.failure, reason, status.last_failure, *status.also)


def failing_codes(status: Status) -> tuple[Code, ...]:
    """The codes of everything that is not as it should be, each once."""
    return _codes(status.failure, status.last_failure, *status.also)


def _codes(*failures: Failure | None) -> tuple[Code, ...]:
    return tuple(dict.fromkeys(failure.code for failure in failures if failure is not None))


def as_of(status: Status, now: float) -> Status:
    """The status as it is true at ``now``: a hold ends by itself, with nobody there to say so."""
    if status.held and status.held_until is not None and status.held_until <= now:
        return replace(status, held=False, held_until=None)
    return status


def write_status(effects: Effects, paths: HostPaths, status: Status) -> None:
    """Publish a status; raises ``AgentError`` (``write-failed``)."""
    write_durably(effects, paths.status, json.dumps(_document(status), indent=1).encode() + b"\n")


def encode_status(status: Status) -> bytes:
    """The same document in one line, for who follows."""
    return json.dumps(_document(status)).encode() + b"\n"


def read_status(paths: HostPaths) -> Status:
    """What was last said; raises ``AgentError`` (``agent-not-running``) where nothing was in this boot."""
    try:
        text = paths.status.read_bytes()
    except OSError as error:
        raise AgentError(Code.AGENT_NOT_RUNNING, f"no status at {paths.status}: {error.strerror}", _HINT) from error
    return decode_status(text, str(paths.status))


def decode_status(text: bytes, place: str) -> Status:
    """A status out of its document, which came from ``place``; raises ``AgentError`` (``agent-not-running``)."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AgentError(Code.AGENT_NOT_RUNNING, f"{place} is not a status: {error}", _HINT) from error
    try:
        return _status(document)
    except (TypeError, ValueError, KeyError) as error:
        raise AgentError(Code.AGENT_NOT_RUNNING, f"{place} was written by another version: {error}", _HINT) from error


def _document(status: Status) -> dict[str, object]:
    return {"version": VERSION, **asdict(status)}


def _status(document: object) -> Status:
    if not isinstance(document, dict):
        raise TypeError("it is not an object")
    if document.pop("version") != VERSION:
        raise ValueError("its version is not ours")
    plain = {key: value for key, value in document.items() if key not in _READ_BY}
    read = {key: read(document[key]) for key, read in _READ_BY.items() if key in document}
    return Status(**read, **plain)  # type: ignore[arg-type] # our own file, keys checked by the call


def _failure(value: object) -> Failure | None:
    if not isinstance(value, dict):
        return None
    return Failure(Code(value["code"]), str(value["message"]), str(value["hint"]))


def _past_failure(value: object) -> PastFailure | None:
    if not isinstance(value, dict):
        return None
    failure = _failure(value["failure"])
    return None if failure is None else PastFailure(failure, float(value["at"]))


def _awaiting(value: object) -> Awaiting | None:
    if not isinstance(value, dict):
        return None
    return Awaiting(**(value | {"gate": Gate(str(value["gate"])), "reason": _failure(value["reason"])}))


def _failures(value: object) -> tuple[Failure, ...]:
    found = map(_failure, value if isinstance(value, list) else ())
    return tuple(failure for failure in found if failure is not None)


def _switches(value: object) -> tuple[Switch, ...]:
    return tuple(map(_switch, value if isinstance(value, list) else ()))


def _switch(value: dict[str, object]) -> Switch:
    code = value["code"]
    read = {"kernel_type": KernelType(str(value["kernel_type"])), "code": None if code is None else Code(str(code))}
    return Switch(**{**value, **read})  # type: ignore[arg-type] # keys checked by the call


_READ_BY: dict[str, Callable[[object], object]] = {
    "state": lambda value: State(str(value)),
    "failure": _failure,
    "last_failure": _failure,
    "last_error": _past_failure,
    "also": _failures,
    "switches": _switches,
    "awaiting": _awaiting,
}
"""How what is no plain value of JSON is read."""
