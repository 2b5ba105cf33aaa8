"""What a transaction does, as values: the steps it announces, and how it ends."""

from dataclasses import dataclass

from mcd_rt.sim.world import System


class Refused(Exception):
    """rpm-ostree says no, with its own text."""


@dataclass(frozen=True, slots=True)
class Task:
    """Announced at its begin and at its end."""

    name: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message."""

    name: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A run of percentages, in ``parts`` parts; without a name only its end is announced."""

    name: str = ""
    parts: int = 0


Step = Task | Note | Progress

STAGING = Task("Staging deployment")
"""The last step of whatever writes a deployment."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transaction goes: its steps, then ``error``, or ``system`` as it is afterwards.

    ``system`` is ``None`` where nothing changes; ``writes`` says that a deployment is written.
    """

    steps: tuple[Step, ...]
    error: str = ""
    system: System | None = None
    writes: bool = False
    reboot: bool = False
