"""Have the tuned profile of the kernel that runs: ours with the real-time kernel, the earlier one after it."""

import logging
from dataclasses import dataclass, field, replace
from typing import assert_never

from mcd_rt.act.tuned_memory import forget_switched, load_switched, save_switched
from mcd_rt.dbus.bus import Bus, bus_address, open_bus
from mcd_rt.dbus.tuned import active_profile, switch_profile
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.tuning import Profile, Switched
from mcd_rt.plan.tuning import Ask, Decision, Forget, LeaveAlone, Nothing, PutBack, Remember, Switch, decide

LOG = logging.getLogger("mcd_rt")

_CONNECT_TIMEOUT = 15.0


@dataclass(slots=True)
class TuningSeen:
    """What this process has said already, and the profiles (empty: the way back) it does not try again.

    ``failure`` is why tuned has not the profile it should have, as far as that is known.
    """

    said: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    failure: Failure | None = None


async def tune(effects: Effects, paths: HostPaths, profile: str, seen: TuningSeen, *, realtime: bool) -> None:
    """Switch tuned to ``profile`` where the real-time kernel runs, and back where it does not; raises nothing.

    For when the node runs what is wanted. Where there is nothing to do it reads one small file and asks nobody.
    What does not work is said once in the life of ``seen`` (``tuned-left-alone``, ``write-failed``) and is in
    nobody's way. A profile that tuned refused is not tried again: each try undoes the tuning for a moment.
    """
    wanted = profile if realtime else ""
    if wanted in seen.given_up:
        return
    try:
        await _tune(effects, paths, wanted, seen)
    except AgentError as error:
        seen.failure = error.failure
        _say_once(seen, error.failure)
    else:
        seen.failure = None


async def _tune(effects: Effects, paths: HostPaths, wanted: str, seen: TuningSeen) -> None:
    decision = decide(wanted, load_switched(paths), None)
    if isinstance(decision, Forget):
        forget_switched(effects, paths)
        decision = decide(wanted, None, None)
    if isinstance(decision, Nothing):
        return
    async with open_bus(bus_address(), _CONNECT_TIMEOUT) as bus:
        while not isinstance(decision, Nothing):
            decision = decide(wanted, load_switched(paths), await active_profile(bus))
            if isinstance(decision, Switch | PutBack):
                seen.given_up.add(wanted)  # until it is seen to have worked
            await _follow(effects, paths, bus, decision)
            decision = decide(wanted, load_switched(paths), None)
    seen.given_up.discard(wanted)


async def _follow(effects: Effects, paths: HostPaths, bus: Bus, decision: Decision) -> None:
    match decision:
        case Switch(switched):
            await _switch(effects, paths, bus, switched)
        case PutBack(switched):
            await _put_back(effects, paths, bus, switched)
        case Remember(switched):
            save_switched(effects, paths, switched)
        case Forget(why):
            forget_switched(effects, paths)
            LOG.info("the tuned profile is left as it is: %s", why)
        case LeaveAlone(reason):
            raise AgentError(reason.code, reason.message, reason.hint)
        case Nothing() | Ask():
            raise AgentError(Code.INTERNAL_ERROR, f"what to do about tuned was not decided: {decision}")
        case _:
            assert_never(decision)


async def _switch(effects: Effects, paths: HostPaths, bus: Bus, switched: Switched) -> None:
    save_switched(effects, paths, switched)
    refused = await switch_profile(bus, effects, Profile(switched.profile))
    if refused:
        forget_switched(effects, paths)
        raise _refused(switched.profile, refused)
    save_switched(effects, paths, replace(switched, done=True))
    LOG.info("tuned runs %s while the real-time kernel does; before: %s", switched.profile, switched.before.name)


async def _put_back(effects: Effects, paths: HostPaths, bus: Bus, switched: Switched) -> None:
    before = switched.before
    save_switched(effects, paths, switched)
    refused = await switch_profile(bus, effects, before)
    if refused:
        raise _refused(before.name, refused)
    forget_switched(effects, paths)
    LOG.info("tuned runs %s again", "the profile it chooses" if before.automatic else before.name)


def _refused(profile: str, why: str) -> AgentError:
    hint = "`tuned-adm list` shows the profiles; it is tried again when the agent starts again"
    return AgentError(Code.TUNED_LEFT_ALONE, f"tuned did not switch to {profile}: {why}", hint)


def _say_once(seen: TuningSeen, failure: Failure) -> None:
    if failure.message not in seen.said:
        seen.said.add(failure.message)
        LOG.warning("%s", failure)
