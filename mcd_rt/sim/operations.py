"""The methods that begin a transaction: each call as a title, and the work it is once it is started."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mcd_rt.dbus.names import BUS, GIO_ERROR
from mcd_rt.dbus.wire import Message, Typed, Value
from mcd_rt.sim.argumentedits import Edits
from mcd_rt.sim.faults import Die, Faults
from mcd_rt.sim.hostfiles import is_layering_locked
from mcd_rt.sim.localrepo import imported_commit
from mcd_rt.sim.origin import apply_update
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.request import (
    Dictionary,
    Update,
    check_arguments,
    command_line,
    flag,
    parse_update,
    strings,
    text,
)
from mcd_rt.sim.rpmfile import read_rpm
from mcd_rt.sim.service import UNKNOWN_METHOD, CallError
from mcd_rt.sim.steps import Outcome, Refused, Task
from mcd_rt.sim.sysroot import change_arguments, check_cleanup, clean_up, finalize, roll_back
from mcd_rt.sim.world import System

FAILED = f"{GIO_ERROR}0"
OPERATIONS = (
    "UpdateDeployment",
    "PkgChange",
    "Rebase",
    "Upgrade",
    "KernelArgs",
    "Cleanup",
    "Rollback",
    "FinalizeDeployment",
)
LAYERING_LOCKED = "Cannot operate; `LockLayering=true` in configuration."
_ABORT = Task("Aborting")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What work depends on besides the deployments; ``settings`` is the daemon's own file, if it has a place."""

    profile: Profile
    faults: Faults
    settings: Path | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: ``work`` takes the deployments at its start, and the descriptors that came with the call."""

    title: str
    work: Callable[[System, tuple[int, ...]], Outcome]


def read_operation(call: Message, conditions: Conditions) -> Operation:
    """What a call asks for; raises ``CallError`` for what is answered with an error and never begun."""
    match call.member:
        case "UpdateDeployment" | "PkgChange" | "Rebase" | "Upgrade":
            return _update(call, conditions)
        case "KernelArgs":
            return _kernel_arguments(call, conditions.profile)
        case "Cleanup":
            kinds = _words(call.body[0])
            _answered(lambda: check_cleanup(kinds))
            return Operation("cleanup", lambda system, _held: clean_up(system, kinds))
        case "Rollback":
            reboot = flag(_dictionary(call.body[0]), "reboot")
            return Operation("rollback", lambda system, _held: roll_back(system, reboot=reboot))
        case "FinalizeDeployment":
            options = _dictionary(call.body[0])
            title = command_line(options) or "finalize-deployment"
            profile, faults = conditions.profile, conditions.faults
            return Operation(title, lambda system, _held: finalize(system, options, profile, faults.inhibitor))
        case _:
            raise CallError(UNKNOWN_METHOD, f"No such method “{call.member}”")


def _update(call: Message, conditions: Conditions) -> Operation:
    modifiers, options = _dictionaries(call)
    update = parse_update(modifiers, options)
    if call.member == "UpdateDeployment" and not update.recognised:
        denied = f"rpmostreed OS operation {call.member} not allowed for user"
        raise CallError(f"{BUS}.Error.AccessDenied", denied)
    if conditions.profile.argument_errors_answer:
        _answered(lambda: check_arguments(update, len(call.descriptors)))
    title = command_line(options) or update.title
    return Operation(title, lambda system, held: _updated(system, update, held, conditions))


def _dictionaries(call: Message) -> tuple[Dictionary, Dictionary]:
    """Modifiers and options; older methods are the same transaction by another name."""
    match call.member, call.body:
        case "UpdateDeployment", [modifiers, options]:
            return _dictionary(modifiers), _dictionary(options)
        case "PkgChange", [options, added, removed]:
            packages = {"install-packages": Typed("as", added), "uninstall-packages": Typed("as", removed)}
            return packages, _dictionary(options)
        case "Rebase", [options, refspec, _packages]:
            known = _dictionary(options)
            revision = {"set-revision": known["revision"]} if "revision" in known else {}
            return {"set-refspec": Typed("s", refspec), **revision}, known
        case _, [options]:
            return {}, _dictionary(options)
        case _:
            raise CallError(f"{BUS}.Error.InvalidArgs", f"Type of message does not match {call.member}")


def _updated(system: System, update: Update, held: tuple[int, ...], conditions: Conditions) -> Outcome:
    wanted = (*update.install_local, *update.replace_local)
    places = (*wanted, *([] if update.repository_handle is None else [update.repository_handle]))
    try:
        check_arguments(update, len(held))
        if update.layers and _layering_locked(conditions):
            raise Refused(LAYERING_LOCKED)
        if max(places, default=-1) >= len(held):
            conditions.faults.at.append(Die(_ABORT.name))  # a failed assertion there (TT:1749)
            return Outcome((_ABORT,))
        if update.repository_handle is not None:
            commit = imported_commit(held[update.repository_handle], update.refspec)
            update = replace(update, refspec=f":{commit}", imported=commit)
    except Refused as refused:
        return Outcome((), error=str(refused))
    return apply_update(system, update, {at: read_rpm(held[at]) for at in wanted}, conditions.profile)


def _layering_locked(conditions: Conditions) -> bool:
    settings = conditions.settings
    return conditions.profile.layering_lock and settings is not None and is_layering_locked(settings)


def _kernel_arguments(call: Message, profile: Profile) -> Operation:
    existing, *lists, last = call.body
    options = _dictionary(last)
    added, replaced, removed = (tuple(_words(words)) for words in lists)
    conditional = strings(options, "append-if-missing"), strings(options, "delete-if-present")
    edits = Edits(added, replaced, removed, *conditional, final=text(options, "final-kernel-args"))
    title = command_line(options) or "kargs"
    return Operation(title, lambda system, _held: change_arguments(system, str(existing), edits, options, profile))


def _answered(check: Callable[[], None]) -> None:
    """Turn a refusal into an error answer."""
    try:
        check()
    except Refused as refused:
        raise CallError(FAILED, str(refused)) from refused


def _dictionary(value: Value) -> Dictionary:
    assert isinstance(value, dict)
    return value


def _words(value: Value) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]
