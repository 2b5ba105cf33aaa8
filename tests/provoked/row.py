"""One code: how it is provoked on the simulated node, and where a person then finds it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcd_rt.errors import Code, Failure
from mcd_rt.model.awaiting import Gate
from mcd_rt.sim.profiles import DEFAULT
from tests.reliability.faults_kinds import Kind
from tests.reliability.faults_levers import Lever
from tests.reliability.faults_table import KINDS
from tests.reliability.faults_trial import Trial

_FAULTS = {kind.name: kind for kind in KINDS}


async def as_service(trial: Trial) -> None:
    """The agent runs as the node's service."""
    await trial.begin()


@dataclass(frozen=True, slots=True)
class Row:
    """``lever`` is in force from before ``start`` until the code was seen; ``settings`` are TOML.

    ``unseen`` argues why a code is in no status and no metric: then ``lever`` is not used, and the one who typed a
    command is told it (``test_every_code.py``). A code with a ``gate`` says why that gate is not open yet: it is in
    status and log, where nothing is wrong, and in no count of failures.
    """

    code: Code
    lever: Lever | None = None
    settings: str = ""
    cached: bool = True
    profile: str = DEFAULT
    start: Callable[[Trial], Awaitable[None]] = as_service
    unseen: str = ""
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a person could see at the moment in which the agent had said it."""

    failure: Failure
    status: str
    exit_code: int
    metrics: str


def of_fault(code: Code, name: str) -> Row:
    """As a row of the table of faults (``tests/reliability/faults_table.py``) does it."""
    kind: Kind = _FAULTS[name]
    return Row(code, kind.lever, kind.settings, kind.cached, kind.profile)
