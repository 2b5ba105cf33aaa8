"""What must be true of a node at every instant, and once it has settled, however its agent was interrupted."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from mcd_rt.sim.world import Deployment, Tree
from tests.reliability.scenarios import Wish
from tests.reliability.states import End, Finish, Instant, Start, bare

_TURNS = 500
"""Turns of the loop that closed connections need to be gone; not a wait."""

_KERNEL_RT = 5
"""How many packages a whole kernel-rt of the images here has."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What uninterrupted runs came to: for each wish the end, and that after a power cut has taken staged work."""

    ends: tuple[tuple[Wish, End], ...]
    ends_after_power_cut: tuple[tuple[Wish, End], ...]
    bootable: frozenset[tuple[Tree, str]]
    reboots: int
    locks: bool

    def tolerating(self, power_cuts: int) -> "Promise":
        """As after several power cuts, each of which is a reboot and may take one that was under way."""
        return replace(self, reboots=self.reboots + 2 * power_cuts)


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds open, and its children."""

    descriptors: int
    children: frozenset[str]


def broken_at_an_instant(instant: Instant, start: Start, promise: Promise) -> list[str]:
    """Promises 1, 2 and 5, for whatever would boot if somebody rebooted now."""
    system = instant.system
    originals = {bare(one.tree) for one in start.system.deployments}
    bootable = [one for one in system.deployments if not one.staged or not one.locked]
    broken = [
        f"a deployment that is neither the original nor the target could boot: {_named(one)}"
        for one in bootable
        if (bare(one.tree), one.kernel_arguments) not in promise.bootable
        or (bare(one.tree) not in originals and _is_mixture(one))
    ]
    staged = system.staged
    if staged is not None and staged not in start.system.deployments and promise.locks:
        unlocked = not staged.locked and not instant.finalizing
        broken += [f"what was staged is not locked: {_named(staged)}"] if unlocked else []
    pinned = [one for one in start.system.deployments if one.pinned and one not in system.deployments]
    return broken + [f"a pinned deployment is gone: {_named(one)}" for one in pinned]


def broken_in_the_end(finish: Finish, start: Start, promise: Promise, *, power_cut: bool) -> list[str]:
    """Promises 1, 5, 6: it got there by itself, with few reboots, all of them counted, and left nothing."""
    broken, end = list(finish.problems), finish.end
    ends = promise.ends + (promise.ends_after_power_cut if power_cut else ())
    wanted = [one for wish, one in ends if wish == finish.wished]
    if not any((end.state, end.code, end.booted) == (one.state, one.code, one.booted) for one in wanted):
        broken.append(f"it settled in {_told(end)}, not in {' or '.join(map(_told, wanted))}")
    reboots = max(promise.reboots, *(one.reboots for one in wanted))
    if end.reboots > reboots + 1:
        broken.append(f"it took {end.reboots} reboots, uninterrupted {reboots}")
    broken += _broken_record(finish, start)
    return broken + ([f"left behind: {', '.join(finish.leftovers)}"] if finish.leftovers else [])


def _broken_record(finish: Finish, start: Start) -> list[str]:
    if isinstance(finish.counted, str):
        return [f"the record is lost: {finish.counted}"]
    counted = finish.counted - start.reboots
    if counted >= finish.asked:
        return []
    return [f"{finish.asked} reboots were asked for, {counted} are in the record"]


async def broken_by_leaks(before: Held) -> list[str]:
    """Descriptors and children that a dead or settled agent must not leave."""
    for _ in range(_TURNS):
        now = held()
        if now.descriptors <= before.descriptors and now.children <= before.children:
            return []
        await asyncio.sleep(0)
    more = now.descriptors - before.descriptors
    return [f"{more} descriptors more than before, children {sorted(now.children - before.children)}"]


def held() -> Held:
    """What this process holds now."""
    children = (path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return Held(len(list(Path("/proc/self/fd").iterdir())), frozenset(pid for text in children for pid in text.split()))


def _is_mixture(deployment: Deployment) -> bool:
    """Whether its kernel is not one whole kernel, whatever any run came to."""
    tree = deployment.tree
    ours = [rpm for rpm in tree.origin.local if rpm.name.startswith("kernel-rt-")]
    whole = len(ours) in (0, _KERNEL_RT) and len(tree.module_directories) <= 1
    return not whole or (bool(ours) and not tree.realtime)


def _named(deployment: Deployment) -> str:
    origin = deployment.tree.origin
    layers = [rpm.nevra for rpm in origin.local] + list(origin.packages)
    return f"{layers} without {list(origin.removals)}, {deployment.kernel_arguments!r}"


def _told(end: End) -> str:
    tree, _arguments = end.booted
    return f"{end.state or 'no rest'}{f' ({end.code})' if end.code else ''} on {tree.kernel_release}"
