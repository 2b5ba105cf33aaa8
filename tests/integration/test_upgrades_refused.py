"""OS updates and kernels that cannot be had: nothing is staged, the node keeps what it runs, and says why."""

from dataclasses import dataclass, replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.bases import Release
from mcd_rt.sim.hostfiles import lock_layering
from mcd_rt.sim.neighbours import admin_replaces_kernel, write_current_config
from mcd_rt.sim.node import ARGUMENTS
from mcd_rt.sim.scene import Edition
from mcd_rt.sim.scene import publish as publish_layout
from mcd_rt.sim.world import Tree
from tests.integration.asked import asked_of, finalize, update
from tests.integration.conftest import AGENT
from tests.integration.releases import CONTAINER, IMAGE_MODE, REPOSITORY, Os, node_with, os_of, publish
from tests.integration.stories import configure, kept, told_of
from tests.integration.wishes import wish

pytestmark = pytest.mark.story

DEFAULT, REALTIME, PAGES_64K = KernelType.DEFAULT, KernelType.REALTIME, KernelType.PAGES_64K
EL9, NEXT = os_of(Release.EL9), os_of(Release.EL9_NEXT)
C_EL9, C_NEXT = os_of(Release.EL9, CONTAINER), os_of(Release.EL9_NEXT, CONTAINER)
BARE = os_of(Release.EL9_NEXT, REPOSITORY, "none")
BROUGHT = os_of(Release.EL9_REALTIME, REPOSITORY, "none")
OLD_RT_ON_BARE = Tree(
    BARE.base, replace(EL9.with_realtime().origin, refspec=BARE.origin.refspec, custom=BARE.origin.custom)
)


def on_s390x(node):
    node.paths.below("/proc/sys/kernel/arch").write_text("s390x\n")


def built_for_its_pool(node):
    file = node.paths.below("/etc/machine-config-daemon/currentimage")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("registry.example/pool@sha256:" + "0" * 64)


def locked(node):
    lock_layering(node.root)


def nothing(node):
    pass


@dataclass(frozen=True)
class Row:
    """``words`` must be in the message."""

    name: str
    booted: Tree
    wants: Os
    kernel_type: KernelType
    state: State
    code: Code
    words: tuple[str, ...]
    settings: str = IMAGE_MODE
    prepare: object = nothing


ROWS = (
    Row(
        "an image without kernel-rt, ours to rebase to",
        EL9.with_realtime(),
        BARE,
        REALTIME,
        State.BLOCKED,
        Code.IMAGE_WITHOUT_KERNEL,
        ("has no kernel-rt packages",),
    ),
    Row(
        "an image without kernel-rt, somebody else has rebased to it",
        OLD_RT_ON_BARE,
        BARE,
        REALTIME,
        State.IGNORED,
        Code.IMAGE_WITHOUT_KERNEL,
        ("has no kernel-rt packages; the node stays on", *EL9.kernel.nevras),
        settings="",
    ),
    Row(
        "an image without kernel-rt, and none is there",
        BARE.plain(),
        BARE,
        REALTIME,
        State.IGNORED,
        Code.IMAGE_WITHOUT_KERNEL,
        ("has no kernel-rt packages",),
        settings="",
    ),
    Row(
        "the default kernel of an image that brings kernel-rt",
        EL9.with_realtime(),
        BROUGHT,
        DEFAULT,
        State.BLOCKED,
        Code.BASE_HAS_KERNEL,
        ("the base itself brings another one", "kernel-rt-core-5.14.0-427.rt14.el9.x86_64"),
    ),
    Row(
        "the default kernel of a base that contains kernel-rt",
        BROUGHT.plain(),
        BROUGHT,
        DEFAULT,
        State.BLOCKED,
        Code.BASE_HAS_KERNEL,
        ("the base itself brings another one",),
        settings="",
    ),
    Row(
        "64k pages of a base that contains kernel-rt, on a machine that has none",
        BROUGHT.plain(),
        BROUGHT,
        PAGES_64K,
        State.BLOCKED,
        Code.ARCHITECTURE_UNSUPPORTED,
        ("64k-pages does not exist for x86_64",),
    ),
    Row(
        "an architecture without kernel-rt",
        EL9.plain(),
        EL9,
        REALTIME,
        State.BLOCKED,
        Code.ARCHITECTURE_UNSUPPORTED,
        ("realtime does not exist for s390x",),
        prepare=on_s390x,
    ),
    Row(
        "the image of another architecture, container",
        C_EL9.with_realtime(),
        C_NEXT,
        REALTIME,
        State.BLOCKED,
        Code.PACKAGE_WRONG_ARCHITECTURE,
        ("is an OS for aarch64, this node is x86_64",),
        prepare=lambda node: publish(node, C_NEXT, architecture="aarch64"),
    ),
    Row(
        "the image of another architecture, machine-os-content",
        EL9.with_realtime(),
        NEXT,
        DEFAULT,
        State.BLOCKED,
        Code.PACKAGE_WRONG_ARCHITECTURE,
        ("is an OS for aarch64, this node is x86_64",),
        prepare=lambda node: publish(node, NEXT, architecture="aarch64"),
    ),
    Row(
        "LockLayering",
        C_EL9.plain(),
        C_NEXT,
        REALTIME,
        State.BLOCKED,
        Code.LAYERING_LOCKED,
        ("realtime needs other packages on this host", "LockLayering is set in"),
        prepare=locked,
    ),
    Row(
        "an OS image that is built for its pool",
        EL9.with_realtime(),
        EL9,
        DEFAULT,
        State.BLOCKED,
        Code.LAYERING_LOCKED,
        ("default needs other packages on this host", "is built for its pool"),
        settings='[agent]\nmanage = "manage"\n',
        prepare=built_for_its_pool,
    ),
    Row(
        "kernel-only, and nobody has brought the OS yet",
        EL9.with_realtime(),
        NEXT,
        REALTIME,
        State.WAITING,
        Code.WAITING_FOR_BASE,
        (EL9.image.digest, NEXT.image.digest),
        settings="",
    ),
)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_nothing_is_done_and_it_is_said_why(play, row):
    async def story():
        booted = next(each for each in (EL9, NEXT, C_EL9, BARE, BROUGHT) if each.base == row.booted.base)
        async with node_with(row.booted, (booted, row.wants), settings=row.settings) as (node, told):
            row.prepare(node)
            before = kept(node)
            wish(node, row.kernel_type, row.wants)
            await node.run_agent(AGENT)
            await told_of(told, node, row.state, row.code, *row.words)
            assert (kept(node), node.transactions) == (before, [])

    play(story())


def test_a_kernel_that_an_administrator_replaced_is_left_alone_until_he_takes_it_back(play):
    async def story():
        async with node_with(EL9.plain(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            release = await admin_replaces_kernel(node)
            await node.reboot()
            before, asked = kept(node), len(node.transactions)
            wish(node, REALTIME, NEXT)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.KERNEL_OVERRIDDEN, "kernel-core", "hotfix1")
            assert node.booted.tree.kernel_release == release
            assert (kept(node), len(node.transactions)) == (before, asked)

    play(story())


def test_a_host_that_locks_layering_still_gets_an_os_without_packages(play):
    async def story():
        async with node_with(C_EL9.plain(), (C_EL9, C_NEXT), settings=IMAGE_MODE) as (node, told):
            lock_layering(node.root)
            wish(node, DEFAULT, C_NEXT)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert asked_of(node) == [update(to=C_NEXT), finalize(C_NEXT)]
            assert node.booted.tree == C_NEXT.plain()

    play(story())


@pytest.mark.parametrize(
    ("running", "asked", "settings", "code", "words"),
    [
        ("", True, "", Code.FIPS_MISMATCH, "the running kernel is not in FIPS mode"),
        (" fips=1", False, "", Code.FIPS_MISMATCH, "the running kernel is in FIPS mode"),
        (" fips=1", True, '[policy]\nfips = "refuse"\n', Code.FIPS_REFUSED, "this node is in FIPS mode"),
    ],
)
def test_fips_that_contradicts_is_no_upgrade(play, running, asked, settings, code, words):
    async def story():
        options = {"settings": IMAGE_MODE + settings, "arguments": ARGUMENTS + running}
        async with node_with(EL9.plain(), (EL9, NEXT), **options) as (node, told):
            before = kept(node)
            wish(node, REALTIME, NEXT, fips=asked)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, code, words)
            assert (kept(node), node.transactions) == (before, [])

    play(story())


def test_a_fips_node_keeps_both_through_an_upgrade(play):
    async def story():
        arguments = f"{ARGUMENTS} fips=1"
        async with node_with(EL9.with_realtime(), (EL9, NEXT), settings=IMAGE_MODE, arguments=arguments) as (
            node,
            told,
        ):
            wish(node, REALTIME, NEXT, fips=True)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (node.booted.tree, node.booted.kernel_arguments) == (NEXT.with_realtime(), arguments)
            assert (node.assemblies, node.reboots) == (1, 1)

    play(story())


@pytest.mark.parametrize("hidden", ["a=1\nb=2", "a=\0", "a=\x1b[31m", 'a="1'])
def test_an_argument_that_cannot_be_one_changes_nothing(play, hidden):
    async def story():
        async with node_with(EL9.with_realtime(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            before = kept(node)
            wish(node, REALTIME, NEXT, ["nosmt", hidden])
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.CONFIG_INVALID, "spec.kernelArguments[1]")
            assert (kept(node), node.transactions) == (before, [])
            assert node.booted.kernel_arguments == ARGUMENTS

    play(story())


def test_a_tag_is_refused_unless_it_is_allowed_and_then_is_what_it_was_first(play, tmp_path):
    real = publish_layout(tmp_path / "layout", Edition(Release.EL9_NEXT))
    tagged = f"oci:{real.image.place}:{real.image.tag}"

    def ask(node):
        config = (
            '{{"apiVersion":"machineconfiguration.openshift.io/v1","kind":"MachineConfig",'
            '"metadata":{{"name":"99-worker"}},"spec":{{"kernelType":"realtime","osImageURL":"{}"}}}}'
        )
        write_current_config(node, config.format(tagged).encode())

    async def story():
        named = Os(real.base, REPOSITORY, real.image, NEXT.kernel, real.content)
        async with node_with(EL9.with_realtime(), (EL9, named), settings=IMAGE_MODE) as (node, told):
            before = kept(node)
            ask(node)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.IMAGE_NOT_PINNED, f"osImageURL {tagged} is not pinned")
            assert (kept(node), node.transactions) == (before, [])
            configure(node, "[content]\nallow_tags = true\n")
            await node.reboot()
            await told.wait_for("fetching", contains=f"which image {tagged} is")
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert node.booted.tree.base == real.base
            assert (node.assemblies, node.reboots) == (1, 2)

    play(story())
