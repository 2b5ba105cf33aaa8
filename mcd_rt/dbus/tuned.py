"""tuned: which profile is active, and another one. Source: tuned's ``daemon/controller.py``, 2.10 and later.

Before 2.10 ``profile_mode`` and ``auto_profile`` are missing: every profile counts as chosen by a person then.
"""

from mcd_rt.dbus.bus import Bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import BUS, TUNED, TUNED_CONTROL, TUNED_PATH
from mcd_rt.dbus.wire import Value
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.tuning import Profile

_TIMEOUT = 25.0
_SWITCH_TIMEOUT = 120.0
"""It answers once the old profile is undone and the new one is loaded."""

_HINT = "`systemctl status tuned` tells whether it runs on this host; one in a pod has a bus of its own"


async def active_profile(bus: Bus) -> Profile:
    """What tuned runs; raises ``AgentError`` (``tuned-left-alone``) where there is no answer, or not this one."""
    match await _ask(bus, "active_profile"):
        case [str() as name]:
            pass
        case answer:
            raise _left_alone(f"it answers active_profile with {answer!r}")
    return Profile(name, automatic=await _is_automatic(bus))


async def switch_profile(bus: Bus, effects: Effects, profile: Profile) -> str:
    """Switch to a profile, or let tuned choose again; returns why tuned refused, empty where it did not.

    Raises ``AgentError`` (``tuned-left-alone``) where its answer was not heard.
    """
    method = "auto_profile" if profile.automatic else "switch_profile"

    async def call() -> list[Value]:
        signature, body = ("", list[Value]()) if profile.automatic else ("s", list[Value]([profile.name]))
        try:
            return await bus.call(
                TUNED, TUNED_PATH, f"{TUNED_CONTROL}.{method}", signature, body, timeout=_SWITCH_TIMEOUT
            )
        except (PeerClosed, RemoteError, TimeoutError) as error:
            raise _left_alone(f"{method}: {str(error) or 'no answer'}") from error

    match await effects.mutate(f"tuned {method}", call):
        case [[True, str()]]:
            return ""
        case [[False, str() as why]]:
            return why or "it does not say why"
        case answer:
            raise _left_alone(f"it answers {method} with {answer!r}")


async def _is_automatic(bus: Bus) -> bool:
    try:
        answer = await bus.call(TUNED, TUNED_PATH, f"{TUNED_CONTROL}.profile_mode", timeout=_TIMEOUT)
    except RemoteError as error:
        if error.name == f"{BUS}.Error.UnknownMethod":
            return False
        raise _left_alone(f"profile_mode: {error}") from error
    except (PeerClosed, TimeoutError) as error:
        raise _left_alone(f"profile_mode: {str(error) or 'no answer'}") from error
    match answer:
        case [[str() as mode, str()]]:
            return mode == "auto"
        case _:
            raise _left_alone(f"it answers profile_mode with {answer!r}")


async def _ask(bus: Bus, method: str) -> list[Value]:
    try:
        return await bus.call(TUNED, TUNED_PATH, f"{TUNED_CONTROL}.{method}", timeout=_TIMEOUT)
    except (PeerClosed, RemoteError, TimeoutError) as error:
        raise _left_alone(f"{method}: {str(error) or 'no answer'}") from error


def _left_alone(why: str) -> AgentError:
    return AgentError(Code.TUNED_LEFT_ALONE, f"tuned's profile stays as it is: {why}", _HINT)
