"""Kernel arguments on the simulated node: in the order that costs least, locked until it is whole, others' kept."""

from dataclasses import dataclass, field

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.record import load_record
from mcd_rt.sim.bases import Release
from mcd_rt.sim.neighbours import McdUpdate, admin_edits_arguments, mcd_updates
from mcd_rt.sim.node import ARGUMENTS
from mcd_rt.sim.world import Tree
from tests.integration.asked import Asked, arguments, asked_of, finalize, update
from tests.integration.conftest import AGENT
from tests.integration.releases import IMAGE_MODE, Os, node_with, os_of, publish
from tests.integration.wishes import wish

pytestmark = pytest.mark.story

DEFAULT, REALTIME = KernelType.DEFAULT, KernelType.REALTIME
BOTH = ("2020.8", "2024.9")
EL9, NEXT = os_of(Release.EL9), os_of(Release.EL9_NEXT)
NEW = ("nohz_full=2-7", "irqaffinity=0,1")
TUNED = '[tuning]\nkernel_arguments = ["tsc=nowatchdog", "skew_tick=1"]\n'
INSTALL = update(install=5, remove=EL9.kernels)
BACK = update(uninstall=EL9.kernel.nevras, reset=EL9.kernels)


@dataclass(frozen=True)
class Wish:
    """What a config asks for, and what must come of it; ``adds`` are the arguments after those of the installation."""

    kernel_type: KernelType
    wants: Os
    asks: tuple[str, ...]
    asked: tuple[Asked, ...]
    then: Tree
    adds: str


@dataclass(frozen=True)
class Row:
    """One config after another; ``there`` are arguments of somebody else from the beginning."""

    name: str
    booted: Tree
    wishes: tuple[Wish, ...]
    there: str = ""
    settings: str = ""
    profiles: tuple[str, ...] = field(default=("2024.9",))


def added(*asks: str, to: str = "") -> Asked:
    return arguments(f"{ARGUMENTS} {to}".strip(), add=asks)


def taken(*gone: str, of: str, add: tuple[str, ...] = ()) -> Asked:
    return arguments(f"{ARGUMENTS} {of}", add=add, remove=gone)


SWITCHED = Wish(REALTIME, EL9, NEW, (added(*NEW), INSTALL, finalize(EL9)), EL9.with_realtime(), " ".join(NEW))
ON_DEFAULT = Wish(DEFAULT, EL9, NEW, (added(*NEW), finalize(EL9)), EL9.plain(), " ".join(NEW))
ROWS = (
    Row("default to realtime: arguments first, then the assembly", EL9.plain(), (SWITCHED,), profiles=BOTH),
    Row(
        "realtime to default: the assembly first, then the arguments",
        EL9.with_realtime(),
        (Wish(DEFAULT, EL9, NEW, (BACK, added(*NEW), finalize(EL9)), EL9.plain(), " ".join(NEW)),),
        profiles=BOTH,
    ),
    Row(
        "realtime to another OS with realtime: two assemblies",
        EL9.with_realtime(),
        (
            Wish(
                REALTIME,
                NEXT,
                NEW,
                (added(*NEW), update(install=5, uninstall=EL9.kernel.nevras, to=NEXT), finalize(NEXT)),
                NEXT.with_realtime(),
                " ".join(NEW),
            ),
        ),
        settings=IMAGE_MODE,
        profiles=BOTH,
    ),
    Row(
        "another OS without realtime: the rebase first, on which the arguments cost nothing",
        EL9.plain(),
        (Wish(DEFAULT, NEXT, NEW, (update(to=NEXT), added(*NEW), finalize(NEXT)), NEXT.plain(), " ".join(NEW)),),
        settings=IMAGE_MODE,
    ),
    Row("arguments alone, and taken back", EL9.plain(), (
        ON_DEFAULT,
        Wish(DEFAULT, EL9, NEW[1:], (taken(*NEW, of=" ".join(NEW), add=NEW[1:]), finalize(EL9)), EL9.plain(), NEW[1]),
        Wish(DEFAULT, EL9, (), (taken(NEW[1], of=NEW[1]), finalize(EL9)), EL9.plain(), ""),
    )),
    Row("arguments alone on a node that keeps realtime", EL9.with_realtime(), (
        Wish(REALTIME, EL9, NEW, (added(*NEW), finalize(EL9)), EL9.with_realtime(), " ".join(NEW)),
        Wish(REALTIME, EL9, (), (taken(*NEW, of=" ".join(NEW)), finalize(EL9)), EL9.with_realtime(), ""),
    ), profiles=BOTH),
    Row("the switch back takes back what came with the switch", EL9.plain(), (
        SWITCHED,
        Wish(DEFAULT, EL9, (), (BACK, taken(*NEW, of=" ".join(NEW)), finalize(EL9)), EL9.plain(), ""),
    )),
    Row("arguments are not ours to manage", EL9.plain(), (
        Wish(REALTIME, EL9, NEW, (INSTALL, finalize(EL9)), EL9.with_realtime(), ""),
        Wish(DEFAULT, EL9, NEW, (BACK, finalize(EL9)), EL9.plain(), ""),
    ), settings="[kernel_arguments]\nmanage = false\n"),
    Row("those of the tuning come and go with realtime", EL9.plain(), (
        Wish(
            REALTIME, EL9, ("nosmt",),
            (added("nosmt", "tsc=nowatchdog", "skew_tick=1"), INSTALL, finalize(EL9)),
            EL9.with_realtime(), "nosmt tsc=nowatchdog skew_tick=1",
        ),
        Wish(
            DEFAULT, EL9, ("nosmt",),
            (
                BACK,
                taken("nosmt", "tsc=nowatchdog", "skew_tick=1", of="nosmt tsc=nowatchdog skew_tick=1", add=("nosmt",)),
                finalize(EL9),
            ),
            EL9.plain(), "nosmt",
        ),
    ), settings=TUNED),
    Row("what somebody else put there satisfies the config, and stays his", EL9.plain(), (
        Wish(DEFAULT, EL9, ("theirs=1", "ours=1"), (added("ours=1", to="theirs=1"), finalize(EL9)),
             EL9.plain(), "theirs=1 ours=1"),
        Wish(DEFAULT, EL9, (), (taken("ours=1", of="theirs=1 ours=1"), finalize(EL9)), EL9.plain(), "theirs=1"),
    ), there="theirs=1"),
    Row("everything asked for is there already: nothing", EL9.plain(), (
        Wish(DEFAULT, EL9, ("theirs=1", "rw"), (), EL9.plain(), "theirs=1"),
    ), there="theirs=1"),
    Row("order, duplicates, quotes and several in one element", EL9.plain(), (
        Wish(
            DEFAULT, EL9, ("console=tty0 console=ttyS0", 'dyndbg="file drivers/x.c +p"', "console=tty0"),
            (added("console=tty0", "console=ttyS0", 'dyndbg="file drivers/x.c +p"', "console=tty0"), finalize(EL9)),
            EL9.plain(), 'console=tty0 console=ttyS0 dyndbg="file drivers/x.c +p" console=tty0',
        ),
    )),
)  # fmt: skip
PLAYED = [pytest.param(row, version, id=f"{row.name}-{version}") for row in ROWS for version in row.profiles]


@pytest.mark.parametrize(("row", "version"), PLAYED)
def test_arguments_are_changed_exactly_as_asked_in_one_reboot(play, row, version):
    async def story():
        there = f"{ARGUMENTS} {row.there}".strip()
        options = {"profile": version, "settings": row.settings, "arguments": there}
        async with node_with(row.booted, (EL9, NEXT), **options) as (node, told):
            for number, wanted in enumerate(row.wishes):
                before = (len(node.transactions), node.reboots)
                publish(node, wanted.wants)
                wish(node, wanted.kernel_type, wanted.wants, wanted.asks)
                if not number:
                    await node.run_agent(AGENT)
                if wanted.asked:
                    await told.wait_for("verifying")
                await told.wait_for("steady", contains=f"{wanted.kernel_type} is wanted and runs")
                assert asked_of(node, since=before[0]) == list(wanted.asked)
                assert node.booted.tree == wanted.then
                assert node.booted.kernel_arguments == f"{ARGUMENTS} {wanted.adds}".strip()
                assert node.reboots - before[1] == bool(wanted.asked)
                assert all(not each.error for each in node.transactions)

    play(story())


def test_what_we_put_there_is_in_the_record_and_nothing_else(play):
    async def story():
        async with node_with(EL9.plain(), (EL9,), arguments=f"{ARGUMENTS} theirs=1") as (node, told):
            wish(node, REALTIME, EL9, ["theirs=1", *NEW])
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert load_record(node.paths).kernel_arguments == NEW

    play(story())


def test_an_administrators_later_arguments_are_kept_around_ours(play):
    async def story():
        async with node_with(EL9.plain(), (EL9,)) as (node, told):
            wish(node, DEFAULT, EL9, NEW)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="default is wanted and runs")
            await admin_edits_arguments(node, ["his=1"], ["rw"])
            await node.reboot()
            await told.wait_for("steady", contains="default is wanted and runs")
            asked = len(node.transactions)
            wish(node, DEFAULT, EL9, ["nosmt"])
            await told.wait_for("verifying")
            await told.wait_for("steady", contains="default is wanted and runs")
            theirs = ARGUMENTS.replace(" rw", "")
            assert asked_of(node, since=asked) == [
                arguments(f"{theirs} {' '.join(NEW)} his=1", add=["nosmt"], remove=NEW),
                finalize(EL9),
            ]
            assert node.booted.kernel_arguments == f"{theirs} his=1 nosmt"
            assert node.booted.tree == EL9.plain()

    play(story())


def test_beside_an_mcd_only_those_of_the_added_configs_are_ours(play):
    """It brings those of its rendered config itself."""

    async def story():
        async with node_with(EL9.plain(), (EL9,)) as (node, told):
            proof = node.paths.below("/etc/machine-config-daemon/node-annotation.json.bak")
            proof.parent.mkdir(parents=True, exist_ok=True)
            proof.write_text("{}")
            deliver(node, "kernelArguments: [ours=1]")
            wish(node, DEFAULT, EL9, ["theirs=1"])
            await node.run_agent(AGENT)
            await told.wait_for("verifying")
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert asked_of(node) == [added("ours=1"), INSTALL, finalize(EL9)]
            await mcd_updates(node, McdUpdate(added=("theirs=1",)))
            assert node.booted.kernel_arguments == f"{ARGUMENTS} ours=1 theirs=1"
            asked = len(node.transactions)
            deliver(node, "kernelArguments: []")
            await told.wait_for("verifying")
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert asked_of(node, since=asked) == [taken("ours=1", of="ours=1 theirs=1"), finalize(EL9)]
            assert node.booted.kernel_arguments == f"{ARGUMENTS} theirs=1"

    play(story())


def deliver(node, more):
    """The proposal's config with something more, as a file that is added to the rendered config."""
    place = node.paths.below("/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml")
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(".new")
    temporary.write_text(
        "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\n"
        f"metadata: {{name: 99-worker-realtime-kernel}}\nspec: {{realtime: true, {more}}}\n"
    )
    temporary.rename(place)
