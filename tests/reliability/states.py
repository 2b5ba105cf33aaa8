"""What a bench is put to, and what becomes of it, as values."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.sim.faults import Twist
from mcd_rt.sim.refspec import image_digest
from mcd_rt.sim.world import System, Tree
from tests.reliability.scenarios import Flip, Wish


@dataclass(frozen=True, slots=True)
class End:
    """What a node settled in (``state`` is ``None`` where it did not), and how many reboots it took."""

    state: State | None
    code: Code | None
    booted: tuple[Tree, str]
    reboots: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything that is judged once a node has settled.

    ``asked`` reboots were asked for; ``counted`` are in the record, or why it cannot be read; ``wished`` is what the
    config asks for in the end.
    """

    end: End
    asked: int
    counted: int | str
    problems: tuple[str, ...]
    leftovers: tuple[str, ...]
    wished: Wish


@dataclass(frozen=True, slots=True)
class Instant:
    """What could be booted at one instant; ``finalizing`` is whether that was just asked for."""

    system: System
    finalizing: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """What has happened since a scenario began, what of its flips and twists is left; ``slot``: it has a lock's."""

    reboots: int = 0
    asked: int = 0
    calls: int = 0
    flips: tuple[Flip, ...] = ()
    twists: tuple[Twist, ...] = ()
    slot: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Everything a node is put back to; ``reboots`` are those that its record counts, ``boots`` names its boot."""

    system: System
    files: tuple[tuple[Path, bytes | None], ...]
    boots: int
    wish: Wish
    reboots: int
    passed: Passed = field(default_factory=Passed)


@dataclass(frozen=True, slots=True)
class World:
    """Numbers that are equal for equal worlds.

    ``now`` is everything the next agent of this boot could see, ``lost`` and ``torn`` what one after a power cut could.
    """

    now: int
    lost: int
    torn: int


def bare(tree: Tree) -> Tree:
    """A tree whose origin names the image by its digest alone: where it lies differs from bench to bench."""
    origin = tree.origin
    return replace(tree, origin=replace(origin, refspec=image_digest(origin.refspec) or origin.refspec))
