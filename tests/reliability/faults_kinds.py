"""One kind of fault: a row of the table, and how it is tried."""

import asyncio
from dataclasses import dataclass

from mcd_rt.control import Verb
from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.sim.profiles import DEFAULT
from mcd_rt.sim.rpmostree import FOREIGN
from tests.integration.stories import leftovers
from tests.leaks import leaves_nothing
from tests.reliability.faults_levers import Lever
from tests.reliability.faults_trial import Trial, open_trial

OLD = "2020.8"

_STAYS_PUT = (State.BLOCKED, State.HELD)
_REBOOTS = 2
"""One that the switch takes, one more for the fault."""
_PASSES = 25
_TRANSACTIONS = 6
"""Without those that a retry, which has its delay, or another config took."""
_SET_ASIDE = "var/lib/mcd-rt/record.damaged"
"""What lay there for a record, whatever it is, is kept for a person."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: ``lever`` is in force from before the agent starts until it has shown what it must.

    ``shows`` is a state with its code, shown ``times`` times while the fault lasts; without one the fault uses itself
    up or stays in force until the end. ``stays``: the node must not go on, which is the end. ``person``: what the docs
    tell a person to say once the cause is gone. ``hint``: a word of the way out.
    """

    name: str
    lever: Lever
    shows: tuple[State, Code | None] | None = None
    times: int = 1
    stays: bool = False
    person: Verb | None = None
    hint: str = ""
    profile: str = DEFAULT
    settings: str = ""
    cached: bool = True


def try_kind(kind: Kind) -> list[str]:
    """Every promise that was broken, said so that it can be tried again: by the name of the kind."""
    try:
        with leaves_nothing():
            broken = asyncio.run(_try(kind))
    except AssertionError as leak:
        broken = [str(leak)]
    return [f"{kind.name}: {what}" for what in broken]


async def _try(kind: Kind) -> list[str]:
    async with open_trial(kind.profile, kind.settings, cached=kind.cached) as trial:
        try:
            async with kind.lever(trial):
                await trial.begin()
                if kind.shows is None:
                    await trial.arrived()
                else:
                    await _shown(trial, kind)
            if kind.person is not None and not await trial.ask(kind.person):
                trial.broken.append(f"{kind.person} did not help: {trial.told()}")
            if not kind.stays:
                await trial.arrived()
                await _rests(trial)
            trial.broken += _broken_in_the_end(trial, kind)
        except TimeoutError:
            trial.broken.append(f"it came to {trial.told()}")
    return trial.broken


async def _shown(trial: Trial, kind: Kind) -> None:
    assert kind.shows is not None
    state, code = kind.shows
    at = await trial.wait_for(state, code, times=kind.times)
    if state in _STAYS_PUT:
        trial.poke()
        at = await trial.wait_for(state, code, since=at)
    failure = trial.seen[at - 1].failure
    if kind.hint not in (failure.hint if failure is not None else ""):
        trial.broken.append(f"the hint of {failure} does not tell of {kind.hint}")


async def _rests(trial: Trial) -> None:
    """Promise 3: once it is there, another pass does nothing."""
    before, at = len(trial.node.transactions), len(trial.seen)
    trial.poke()
    await trial.wait_for(State.STEADY, None, since=at)
    if len(trial.node.transactions) != before:
        trial.broken.append(f"a pass with nothing to do did {trial.node.transactions[before:]}")


def _broken_in_the_end(trial: Trial, kind: Kind) -> list[str]:
    node, broken = trial.node, []
    retries = sum(seen.state is State.RETRYING for seen in trial.seen)
    reboots = node.reboots - trial.cuts
    if reboots > _REBOOTS:
        broken.append(f"it took {reboots} reboots")
    if trial.passes > _PASSES + retries:
        broken.append(f"{trial.passes} passes, {retries} of them after a delay: a busy loop")
    if len(node.transactions) > _TRANSACTIONS + 2 * (retries + trial.flips):
        broken.append(f"{len(node.transactions)} transactions, with {retries} retries")
    broken += [
        f"another client's {one.method}: {one.error}"
        for one in node.transactions
        if one.sender == FOREIGN and one.error
    ]
    if sum(one.pinned for one in node.deployments) != 1:
        broken.append("a pinned deployment is gone")
    if trial.unmet or node.faults.at or node.faults.twists:
        broken.append(f"the fault was not met: {trial.unmet or node.faults}")
    if kind.stays and node.booted.tree != trial.original.tree:
        broken.append(f"it stays put, and runs {node.booted.tree.kernel_release}")
    if lying := [left for left in leftovers(node) if left != _SET_ASIDE]:
        broken.append(f"left behind: {', '.join(lying)}")
    return broken
