"""What the agent remembers across crashes and boots. Times are seconds since the epoch."""

from dataclasses import field
from enum import StrEnum, unique

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import OwnArguments, Target


@unique
class Phase(StrEnum):
    """How far an attempt came; written before the step it names. ``ASKED``: others were asked to reboot the node."""

    STAGING = "staging"
    STAGED = "staged"
    ASKED = "asked"
    REBOOTING = "rebooting"


@frozen
class Attempt:
    """A change that was begun: ``boot_id`` is the boot it was staged in.

    ``deployment_id`` is empty until the staged deployment was read back, at ``staged_at``. ``arguments`` are the kernel
    arguments of our doing in it. ``luck`` is a random number in [0, 1): where in the splay this node reboots.
    """

    target: Target
    phase: Phase
    boot_id: str
    started: float
    deployment_id: str = ""
    on_staged: bool = False
    arguments: OwnArguments = field(default_factory=OwnArguments)
    staged_at: float = 0.0
    luck: float = 0.0

    @property
    def is_counted(self) -> bool:
        """Whether a reboot into it was counted: the node's own, or one that others were asked for."""
        return self.phase in (Phase.ASKED, Phase.REBOOTING)


@frozen
class Tries:
    """How often a reboot into a target was asked for since it last came up."""

    target: str
    count: int


@frozen
class Verified:
    """A target that came up: seen running at ``at``, begun at ``started``.

    ``beside`` are the ids of the deployments that were there then besides it: what one can go back to. Empty once
    going back means nothing any more.
    """

    target: Target
    started: float
    at: float
    beside: tuple[str, ...] = ()


@frozen
class Switch:
    """A change that went through a boot, up to its verification; ``code`` is why it did not come up."""

    kernel_type: KernelType
    kernel_release: str
    started: float
    ended: float
    code: Code | None = None


@frozen
class Resolved:
    """What an image named by tag meant when it was first asked: its ``digest``."""

    reference: str
    digest: str


@frozen
class Hold:
    """A person said at ``since`` that the node does not reboot, until a time or, with ``None``, until he says else."""

    since: float
    until: float | None = None


@frozen
class Turn:
    """When this node may fetch ``image``: its share of the splay, drawn once."""

    image: str
    at: float


@frozen
class Lock:
    """A slot of a lock server; written before it is asked for, because the answer may get lost.

    ``granted``: the server said yes. ``url``, ``group`` and ``id`` are what it was asked with, and is released with.
    """

    url: str
    group: str
    id: str
    granted: bool = False


@frozen
class Record:
    """All of it.

    ``reboots`` are the times reboots of ours were asked for, oldest first. ``failure`` is why the last
    boot did not bring the target up; it stays until a target comes up or a person says ``retry``.
    ``kernel_arguments`` are those of the running kernel that we put there. ``given_up`` is the identity of a target
    that was there to be booted and that somebody, or the boot loader, turned away from. ``switches`` are the last
    few, oldest first. ``sentinel`` is the file of ours that asks others for a reboot, ``hooks_due`` says that hooks
    have run before a reboot and those after it have not.
    """

    attempt: Attempt | None = None
    tries: tuple[Tries, ...] = ()
    reboots: tuple[float, ...] = ()
    verified: Verified | None = None
    failure: Failure | None = None
    foreign_removals: tuple[str, ...] = ()
    kernel_arguments: tuple[str, ...] = ()
    given_up: str = ""
    resolved: tuple[Resolved, ...] = ()
    switches: tuple[Switch, ...] = ()
    hold: Hold | None = None
    lock: Lock | None = None
    sentinel: str = ""
    hooks_due: bool = False
    turn: Turn | None = None

    @property
    def has_dues(self) -> bool:
        """Whether anything was asked of others, or taken from them, for a reboot: it is given back some time."""
        asked = self.attempt is not None and self.attempt.phase is Phase.ASKED
        return asked or bool(self.sentinel) or self.hooks_due or self.lock is not None
