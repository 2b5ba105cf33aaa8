"""What can be made to go wrong, and the one place where recorded sentences stand.

A recorded failure is what the genuine 2020.8 said where a real solver, scripts or payloads are needed:
its number is that of the recording in ``tests/captures``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from mcd_rt.sim.peer import Manner
from mcd_rt.sim.steps import Note, Outcome
from mcd_rt.sim.world import Deployment, Tree

ANY = ""
"""The step before the first."""

END = "Finished"
"""The step after the last: what was staged is staged, nobody was told yet."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The transaction fails after the first step whose name begins with ``step``."""

    step: str
    text: str


@dataclass(frozen=True, slots=True)
class LosePeers:
    """In this step every peer is dropped; the work goes on."""

    step: str


@dataclass(frozen=True, slots=True)
class Die:
    """In this step the daemon dies; what was not staged by then is lost."""

    step: str


@dataclass(frozen=True, slots=True)
class Hold:
    """In this step the transaction waits until it is released."""

    step: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


AtStep = Fail | LosePeers | Die | Hold


class Twist(Enum):
    """How a transaction that would write a deployment differs from what was asked."""

    NO_CHANGE = auto()
    """It says "No change." and does nothing."""
    PRETENDED = auto()
    """It announces every step and succeeds, and nothing is staged."""
    INCOMPLETE = auto()
    """One local RPM is missing in what is staged."""
    LOCK_LOST = auto()
    """What is staged is not locked."""
    ANOTHER = auto()
    """What is staged has a package that nobody asked for."""


@dataclass(slots=True)
class Faults:
    """The switches of one node. ``at`` and ``twists`` are used up as they are met, the rest stays set."""

    at: list[AtStep] = field(default_factory=list)
    twists: list[Twist] = field(default_factory=list)
    manner: Manner = Manner.PROPER
    """How transaction sockets treat whoever connects."""
    mute: bool = False
    """rpm-ostreed takes every call and answers none."""
    stays_dead: bool = False
    """rpm-ostreed is not started when it is called."""
    inhibitor: str = ""
    """Why somebody holds a block lock against a reboot."""
    reboot_stuck: bool = False
    """A reboot is accepted and never comes."""
    finalize_fails: bool = False
    """What is staged is not finalized at shutdown: the old deployment boots."""
    falls_back: bool = False
    """What is staged is written, and the boot loader (or a person at its menu) boots the old deployment."""

    def take(self, step: str) -> list[AtStep]:
        """The faults that are due in a step, which are used up; ``ANY`` is the step before the first."""
        due = [fault for fault in self.at if (step.startswith(fault.step) if fault.step else not step)]
        self.at = [fault for fault in self.at if fault not in due]
        return due

    def twisted(self, outcome: Outcome) -> Outcome:
        """How a transaction really goes, if the next twist is for it."""
        if not (outcome.writes and self.twists):
            return outcome
        match self.twists.pop(0):
            case Twist.NO_CHANGE:
                return Outcome((Note("No change."),))
            case Twist.PRETENDED:
                return Outcome(outcome.steps)
            case Twist.INCOMPLETE:
                return _with_staged(outcome, _without_one)
            case Twist.LOCK_LOST:
                return _with_staged(outcome, lambda staged: replace(staged, locked=False))
            case Twist.ANOTHER:
                return _with_staged(outcome, _with_one_more)


def _with_staged(outcome: Outcome, change: Callable[[Deployment], Deployment]) -> Outcome:
    assert outcome.system is not None
    staged, *others = outcome.system.deployments
    return replace(outcome, system=replace(outcome.system, deployments=(change(staged), *others)))


def _without_one(staged: Deployment) -> Deployment:
    origin = replace(staged.tree.origin, local=staged.tree.origin.local[1:])
    return replace(staged, tree=Tree(staged.tree.base, origin))


def _with_one_more(staged: Deployment) -> Deployment:
    origin = replace(staged.tree.origin, packages=(*staged.tree.origin.packages, "unasked"))
    return replace(staged, tree=Tree(staged.tree.base, origin))


# What the genuine daemon said. The solver:
DEPSOLVE_DEPENDENCY = Fail(
    "Resolving dependencies",  # 06
    "Could not depsolve transaction; 1 problem detected:\n Problem: conflicting requests\n"
    "  - nothing provides no-such-package >= 7 needed by needs-missing-0.1-3.el9.x86_64",
)
DEPSOLVE_KERNEL_CORE = Fail(
    "Resolving dependencies",  # 55
    "Could not depsolve transaction; 1 problem detected:\n"
    " Problem: package kernel-modules-extra-5.14.0-284.el9.x86_64 requires kernel-uname-r = 5.14.0-284.el9.x86_64,"
    " but none of the providers can be installed\n  - conflicting requests",
)
DEPSOLVE_MODULES_CORE = Fail(
    "Resolving dependencies",  # 62
    "Could not depsolve transaction; 1 problem detected:\n Problem: conflicting requests\n"
    "  - nothing provides kernel-rt-modules-core-uname-r = 5.14.0-284.rt14.el9.x86_64+rt"
    " needed by kernel-rt-core-5.14.0-284.rt14.el9.x86_64",
)
# Payloads, read while importing; 07 and 08, then 09:
PAYLOAD_UNRECOGNIZED = Fail(ANY, "rpmostree_unpack_rpm2cpio: Unrecognized archive format")
PAYLOAD_CORRUPT = Fail(ANY, "rpmostree_unpack_rpm2cpio: gzip decompression failed")
IMPORT_LABEL = Fail(
    ANY,  # 14
    "Importing package 'rhcos-var': Writing tmpfiles mtree: Failed to look up SELinux label for '/'",
)
# Files and scripts:
FILE_CONFLICT = Fail(
    "Processing packages",  # 13
    "Checkout conflicter-1-3.el9.x86_64: Hardlinking"
    " dd/b8293d5e057d189cf64070fbe696c373a4c9caea08c9d61da719fd5c237b99.file to README: File exists",
)
SCRIPT_POST = Fail(
    "Running post scripts",  # 12
    "Running %post for badpost: Executing bwrap(/bin/sh): Child process killed by signal 3",
)
