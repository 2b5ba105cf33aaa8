"""What the agent is made to do while it is interrupted: a table, a row a scenario."""

from dataclasses import dataclass
from enum import Enum

from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.profiles import DEFAULT
from mcd_rt.sim.world import Repository, Rpm

REPOSITORY = Repository("updates", ("vim", "strace"))
TOOL = Rpm("site-tool-2.0-1.el9.x86_64", "a" * 64)
NEW_TOOLS = Rpm("kernel-tools-libs-5.14.0-999.el9.x86_64", "b" * 64)
OTHER_KERNEL = Rpm("kernel-core-5.14.0-999.el9.x86_64", "c" * 64, "5.14.0-999.el9.x86_64")


class Cache(Enum):
    """What is in the agent's cache at the beginning."""

    FULL = "full"
    EMPTY = "empty"
    DAMAGED = "damaged"
    """An entry whose package is not the one that was fetched."""
    LITTERED = "littered"
    """What an agent that died while it fetched left: half an entry, and a worker's copy."""


class Trouble(Enum):
    """What goes wrong around the agent all the time, besides the interruption."""

    NONE = "none"
    LESS_STAGED = "less staged"
    """rpm-ostree's first assembly lacks a package and succeeds."""
    NEVER_FINALIZED = "never finalized"
    """What is staged is never written to the boot loader."""
    INHIBITED = "inhibited"
    """Somebody holds a lock against reboots."""
    LOGIND_SILENT = "logind silent"
    """Logind does not say who holds one."""
    TWIN = "twin"
    """The first time the agent asks for an assembly, another client's same call goes on already."""


class Help(Enum):
    """Who has a part in the reboot."""

    NONE = "none"
    DRAIN = "drain"
    """A hook drains the node before it."""
    LOCK = "lock"
    """A lock server gives slots."""
    SENTINEL = "sentinel"
    """Others reboot the node once a file is there."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What others have on a deployment; ``arguments`` are kernel arguments on top of the installed ones."""

    packages: tuple[str, ...] = ()
    local: tuple[Rpm, ...] = ()
    removals: tuple[str, ...] = ()
    replacements: tuple[Rpm, ...] = ()
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """What another client has staged."""

    layers: Layers
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What the node config asks for; ``image`` is an index into the images of the bench.

    ``text``, where it is not empty, is the whole config instead.
    """

    kernel_type: KernelType = KernelType.REALTIME
    image: int = 0
    kernel_arguments: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Flip:
    """The config changes just before the first call whose label ends with ``before``."""

    before: str
    wish: Wish


REALTIME, BACK, UNREADABLE = Wish(), Wish(KernelType.DEFAULT), Wish(text="spec: [kernelType")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A node, what is asked of it, and the state it must settle in.

    ``earlier`` is brought about undisturbed before the scenario begins; with ``rolled_back`` somebody then goes back to
    the deployment before. ``settings`` are TOML on top of the scene's.
    ``locks``: what the agent stages is locked until it finalizes it, as with every strategy in which it reboots itself.
    """

    name: str
    wish: Wish = REALTIME
    earlier: tuple[Wish, ...] = ()
    rolled_back: bool = False
    flips: tuple[Flip, ...] = ()
    others: Layers = Layers()
    staged: Staged | None = None
    pinned: bool = False
    cache: Cache = Cache.FULL
    trouble: Trouble = Trouble.NONE
    help: Help = Help.NONE
    settings: str = ""
    profile: str = DEFAULT
    ends: State = State.STEADY
    locks: bool = True


NEXT = Wish(image=1)
_IMAGE = '\n[os]\nmanage = "image"\n'
SENTINEL = "/etc/mcd-rt/reboot-required"
_LOCK = '\n[reboot]\nstrategy = "fleet-lock"\n[reboot.fleet_lock]\nurl = "https://lock.example"\nid = "node"\n'
_OTHERS_REBOOT = f'\n[reboot]\nstrategy = "sentinel"\n[reboot.sentinel]\npath = "{SENTINEL}"\n'
_SITE = Layers(("vim",), (TOOL,), ("podman",), (NEW_TOOLS,), "nosmt=force")

SCENARIOS = (
    Scenario("install"),
    Scenario("install, rpm-ostree 2020.8", profile="2020.8"),
    Scenario("install among others' layers", others=_SITE, pinned=True),
    Scenario("reset", BACK, earlier=(REALTIME,)),
    Scenario("reset among others' layers", BACK, earlier=(REALTIME,), others=_SITE, pinned=True),
    Scenario("adoption of staged work", staged=Staged(Layers(("strace",), removals=("podman",), arguments="quiet"))),
    Scenario(
        "adoption of a repository's kernel-rt",
        others=Layers(("kernel-rt-core-5.14.0-284.rt14.284.el9.x86_64",), removals=("kernel", "kernel-core")),
    ),
    Scenario("refusal: kernel overridden", others=Layers(replacements=(OTHER_KERNEL,)), ends=State.BLOCKED),
    Scenario(
        "refusal: staged and locked by another", staged=Staged(Layers(("strace",)), locked=True), ends=State.BLOCKED
    ),
    Scenario("config becomes unreadable", UNREADABLE, earlier=(REALTIME,), ends=State.BLOCKED),
    Scenario("less staged than planned", trouble=Trouble.LESS_STAGED),
    Scenario(
        "never finalized",
        trouble=Trouble.NEVER_FINALIZED,
        settings="\n[reboot]\nattempts_per_target = 2\n",
        ends=State.HELD,
    ),
    Scenario("rolled back from", earlier=(REALTIME,), rolled_back=True, ends=State.HELD),
    Scenario("a reboot is inhibited", trouble=Trouble.INHIBITED, ends=State.RETRYING),
    Scenario("logind does not say who inhibits", trouble=Trouble.LOGIND_SILENT, ends=State.RETRYING),
    Scenario("install on a node that is drained first", help=Help.DRAIN),
    Scenario("install with a slot of a lock server", help=Help.LOCK, settings=_LOCK),
    Scenario("others are asked to reboot", help=Help.SENTINEL, settings=_OTHERS_REBOOT, ends=State.STAGED, locks=False),
    Scenario("config flips while staging", flips=(Flip("UpdateDeployment", BACK),)),
    Scenario("config flips at the reboot", flips=(Flip("FinalizeDeployment", BACK),)),
    Scenario("config flips there and back", flips=(Flip("UpdateDeployment", BACK), Flip("Cleanup", REALTIME))),
    Scenario("upgrade that keeps realtime", NEXT, earlier=(REALTIME,), settings=_IMAGE),
    Scenario("upgrade and switch", NEXT, others=_SITE, pinned=True, settings=_IMAGE),
    Scenario("upgrade and switch back", Wish(KernelType.DEFAULT, image=1), earlier=(REALTIME,), settings=_IMAGE),
    Scenario("downgrade that keeps realtime", REALTIME, earlier=(NEXT,), settings=_IMAGE),
    Scenario("arguments alone", Wish(KernelType.DEFAULT, kernel_arguments=("nosmt", "isolcpus=2-3"))),
    Scenario("install with arguments", Wish(kernel_arguments=("nohz_full=2-3",)), others=_SITE),
    Scenario("reset with arguments", BACK, earlier=(Wish(kernel_arguments=("nohz_full=2-3",)),)),
    Scenario("upgrade with arguments", Wish(image=1, kernel_arguments=("rcu_nocbs=2",)), (REALTIME,), settings=_IMAGE),
    Scenario("upgrade to an OS that is fetched", Wish(image=2), earlier=(REALTIME,), settings=_IMAGE),
    Scenario("fetch", cache=Cache.EMPTY),
    Scenario("fetch after a death", cache=Cache.LITTERED),
    Scenario("fetch again: cache damaged", cache=Cache.DAMAGED),
)
