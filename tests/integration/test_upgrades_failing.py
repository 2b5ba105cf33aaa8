"""OS updates that fail in the middle: nothing has changed then, and they work once they can."""

import shutil
from dataclasses import replace

import pytest

from mcd_rt.content.osentry import repository_of
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.bases import Release
from mcd_rt.sim.faults import DEPSOLVE_DEPENDENCY, END, Fail, Hold
from mcd_rt.sim.node import ARGUMENTS
from mcd_rt.sim.scene import Edition
from mcd_rt.sim.scene import publish as publish_layout
from tests.integration.conftest import AGENT
from tests.integration.releases import CONTAINER, IMAGE_MODE, REPOSITORY, Os, node_with, os_of
from tests.integration.stories import SLOW_RETRY, configure, kept, told_of
from tests.integration.wishes import wish

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME
EL9, NEXT = os_of(Release.EL9), os_of(Release.EL9_NEXT)
C_EL9, C_NEXT = os_of(Release.EL9, CONTAINER), os_of(Release.EL9_NEXT, CONTAINER)


@pytest.mark.parametrize(
    ("booted", "wants", "failure"),
    [
        pytest.param(EL9, NEXT, DEPSOLVE_DEPENDENCY, id="depsolve"),
        pytest.param(C_EL9, C_NEXT, Fail("", f"Old and new refs are equal: {C_NEXT.origin.refspec}"), id="equal-refs"),
        pytest.param(EL9, NEXT, Fail("", "Failed to open local repo: opendir(objects): No such file or directory"),
                     id="repository"),
    ],
)  # fmt: skip
def test_a_transaction_that_fails_changes_nothing_and_is_not_hammered(play, booted, wants, failure):
    async def story():
        async with node_with(booted.with_realtime(), (booted, wants), settings=IMAGE_MODE) as (node, told):
            configure(node, SLOW_RETRY)
            before = kept(node)
            wish(node, REALTIME, wants)
            faults = [failure, replace(failure, text=f"{failure.text} (again)")]
            node.faults.at.append(failure)
            await node.run_agent(AGENT)
            for fault, following in zip(faults, [faults[1:], []], strict=True):
                said = await told_of(told, node, State.RETRYING, Code.TRANSACTION_FAILED, fault.text.splitlines()[0])
                node.faults.at += following
                assert fault.text in said.message
                assert kept(node) == before
            assert [each.error for each in node.transactions] == [fault.text for fault in faults]
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert node.booted.tree == wants.with_realtime()
            assert (node.assemblies, node.reboots) == (1, 1)

    play(story())


def nearby(place):
    """A real image, and a node's cache that has it."""
    real = publish_layout(place / "layout", Edition(Release.EL9_NEXT))
    return Os(real.base, REPOSITORY, real.image, replace(NEXT.kernel, image=real.image), real.content)


def test_a_repository_that_changed_in_the_cache_is_fetched_again(play, tmp_path):
    cached = nearby(tmp_path)

    async def story():
        async with node_with(EL9.with_realtime(), (EL9, cached), settings=IMAGE_MODE) as (node, told):
            [commit] = repository_of(node.paths, cached.image.digest).glob("objects/*/*.commit")
            commit.write_bytes(b"another one")
            before = kept(node)
            wish(node, REALTIME, cached)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.CACHE_CORRUPT, "is not what was fetched any more")
            assert (kept(node), node.transactions) == (before, [])
            await told.wait_for("fetching", contains="the ostree repository of")
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert node.booted.tree == cached.with_realtime()
            assert (node.assemblies, node.reboots) == (1, 1)

    play(story())


def test_a_repository_that_vanished_between_two_steps_is_fetched_again(play, tmp_path):
    """After the arguments were staged, and before the assembly that needs it."""
    cached = nearby(tmp_path)

    async def story():
        async with node_with(EL9.with_realtime(), (EL9, cached), settings=IMAGE_MODE) as (node, told):
            arguments_staged = Hold(END)
            node.faults.at.append(arguments_staged)
            wish(node, REALTIME, cached, ["nosmt"])
            await node.run_agent(AGENT)
            await arguments_staged.reached.wait()
            shutil.rmtree(repository_of(node.paths, cached.image.digest))
            arguments_staged.release.set()
            await told.wait_for("fetching", contains="the ostree repository of")
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert node.booted.tree == cached.with_realtime()
            assert node.booted.kernel_arguments == f"{ARGUMENTS} nosmt"
            assert node.reboots == 1

    play(story())
