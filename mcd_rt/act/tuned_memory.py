"""What we did to tuned, across crashes and boots: ``/var/lib/mcd-rt/tuned.json``, written before it is done.

Versioned. A damaged or newer one is left as it is, and tuned alone: what was there before is not guessed.
"""

import json

from mcd_rt.effects import Effects, write_durably
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.tuning import Profile, Switched

VERSION = 1


def load_switched(paths: HostPaths) -> Switched | None:
    """What is remembered; ``None`` where there is nothing. Raises ``AgentError`` (``tuned-left-alone``)."""
    try:
        text = paths.tuned.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(paths, str(error.strerror)) from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(paths, str(error)) from error
    match document:
        case {
            "version": int() as version,
            "profile": str() as profile,
            "before": {"name": str() as name, "automatic": bool() as automatic},
            "done": bool() as done,
        } if version == VERSION and profile and name:
            return Switched(profile, Profile(name, automatic), done)
        case {"version": int() as version} if version > VERSION:
            raise _unreadable(paths, f"it is of version {version}, this agent knows {VERSION}")
        case _:
            raise _unreadable(paths, "it is not what this agent writes")


def save_switched(effects: Effects, paths: HostPaths, switched: Switched) -> None:
    """Remember; returns when it is durable. Raises ``AgentError`` (``write-failed``)."""
    document = {
        "version": VERSION,
        "profile": switched.profile,
        "before": {"name": switched.before.name, "automatic": switched.before.automatic},
        "done": switched.done,
    }
    write_durably(effects, paths.tuned, json.dumps(document, indent=1).encode() + b"\n")


def forget_switched(effects: Effects, paths: HostPaths) -> None:
    """There is nothing of ours any more. Raises ``AgentError`` (``write-failed``)."""
    try:
        effects.remove(paths.tuned)
        effects.fsync_directory(paths.tuned.parent)
    except OSError as error:
        hint = "make the place writable; the profile is not touched again"
        raise AgentError(Code.WRITE_FAILED, f"cannot remove {paths.tuned}: {error.strerror}", hint) from error


def _unreadable(paths: HostPaths, why: str) -> AgentError:
    hint = "choose a profile with `tuned-adm`, then remove the file"
    return AgentError(
        Code.TUNED_LEFT_ALONE, f"tuned's profile stays as it is: {paths.tuned} cannot be read: {why}", hint
    )
