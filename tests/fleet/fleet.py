"""A fleet is told to switch; what is seen of it until nothing happens any more."""

from dataclasses import dataclass, field, replace
from random import Random

from mcd_rt.model.kernel import KernelType
from mcd_rt.model.settings import ContentSettings, FleetLockSettings, RebootSettings, Settings
from tests.fleet.node import FleetNode, Luck, desired, fresh_world
from tests.fleet.surroundings import LockServer, Registry, Timeline

HOUR = 3600.0
DELIVERY = 300.0
"""Seconds within which a config arrives on all nodes."""


@dataclass(frozen=True, slots=True)
class Options:
    """A fleet; times in seconds. ``back_at``: when the config is taken back."""

    nodes: int = 1000
    slots: int = 25
    strategy: str = "fleet-lock"
    fetch_splay: float = 0.0
    reboot_splay: float = 0.0
    luck: Luck = Luck()  # noqa: RUF009 - frozen
    silent: tuple[float, float] = (-1.0, -1.0)
    back_at: float | None = None
    lasts: float = 12 * HOUR
    seed: int = 1

    @property
    def settings(self) -> Settings:
        lock = FleetLockSettings(url="https://locks.example", group="workers")
        reboots = RebootSettings(strategy=self.strategy, splay=self.reboot_splay, fleet_lock=lock)
        return replace(Settings(), reboot=reboots, content=ContentSettings(splay=self.fetch_splay))


@dataclass(slots=True)
class Fleet:
    """The nodes and what they share, and how many were out of service, and steady, over time."""

    options: Options
    timeline: Timeline
    locks: LockServer
    registry: Registry
    nodes: list[FleetNode] = field(default_factory=list)
    out: list[tuple[float, int]] = field(default_factory=list)
    steady: list[tuple[float, int]] = field(default_factory=list)
    most_out: int = 0

    def look(self) -> None:
        """Count; a node is looked at whenever one of them changes."""
        out, steady = sum(node.out for node in self.nodes), sum(node.steady for node in self.nodes)
        self.most_out = max(self.most_out, out)
        self.out.append((self.timeline.now, out))
        self.steady.append((self.timeline.now, steady))

    @property
    def finished_at(self) -> float:
        """When the last node that became steady did."""
        most = max(count for _, count in self.steady)
        return next(at for at, count in self.steady if count == most)


def run_fleet(options: Options) -> Fleet:
    """Tell all nodes to switch to the real-time kernel, and watch them."""
    timeline = Timeline()
    locks, registry = LockServer(timeline, options.slots, options.silent), Registry(timeline)
    fleet = Fleet(options, timeline, locks, registry)
    chance = Random(options.seed)
    for number in range(options.nodes):
        own = Random(chance.random())
        world = fresh_world(options.settings)
        fleet.nodes.append(FleetNode(number, timeline, locks, registry, own, options.luck, world, fleet.look))
    _tell(fleet, chance, 0.0, KernelType.REALTIME)
    if options.back_at is not None:
        _tell(fleet, chance, options.back_at, KernelType.DEFAULT)
    timeline.run(options.lasts)
    fleet.look()
    return fleet


def _tell(fleet: Fleet, chance: Random, begin: float, kernel_type: KernelType) -> None:
    for node in fleet.nodes:
        wanted = desired(kernel_type)
        fleet.timeline.at(begin + chance.uniform(0, DELIVERY), lambda node=node, wanted=wanted: node.tell(wanted))
