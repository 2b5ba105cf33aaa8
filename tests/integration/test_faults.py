"""rpm-ostree goes wrong in every way we know: said by name, nothing lost, and on with it once it is over."""

import pytest

from mcd_rt.dbus.names import SYSROOT
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.status import read_status
from mcd_rt.sim.faults import (
    ANY,
    DEPSOLVE_DEPENDENCY,
    END,
    PAYLOAD_CORRUPT,
    Die,
    LosePeers,
    Twist,
)
from mcd_rt.sim.node import Rebooted
from mcd_rt.sim.peer import Manner
from mcd_rt.sim.rpmostree import FOREIGN
from mcd_rt.sim.scene import write_image
from tests.integration.conftest import AGENT, served
from tests.integration.stories import (
    SLOW_RETRY,
    configure,
    fill_cache,
    hearing,
    kept,
    leftovers,
    node_of,
    reaches,
    told_of,
)

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME


def prepare(scene, settings=""):
    """Real-time is wanted and at hand; returns what must stay as it is until rpm-ostree is well again."""
    fill_cache(scene)
    configure(scene.node, SLOW_RETRY + settings)
    scene.ask_for(REALTIME)
    return kept(scene.node)


def test_a_node_without_rpm_ostree_waits_for_it(play, tmp_path):
    async def story():
        async with node_of(write_image(tmp_path), has_rpm_ostree=False) as (scene, told):
            node, before = scene.node, prepare(scene)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.RPM_OSTREE_UNAVAILABLE, "org.projectatomic.rpmostree1")
            assert kept(node) == before
            assert leftovers(node) == []

            await node.start_rpm_ostree()
            await node.wait(Rebooted)
            await node.start_rpm_ostree()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_rpm_ostree_that_never_answers_is_given_up_at_the_deadline(play):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene, "[rpm_ostree]\ncall_timeout = 0.3\n")
            node.faults.mute = True
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.RPM_OSTREE_TIMEOUT, "did not answer", "0.3 s")
            assert kept(node) == before

            node.faults.mute = False
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_another_clients_transaction_is_named_and_waited_for_and_ends_by_itself(play):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene)
            await node.start_rpm_ostree()
            theirs = node.rpm_ostree.begin_foreign("install vim")
            await node.run_agent(AGENT)
            line = await told.wait_for("waiting", contains="PkgChange")
            assert FOREIGN in line
            assert read_status(node.paths).state is State.WAITING
            assert (kept(node), node.transactions, leftovers(node)) == (before, [], [])

            theirs.release.set()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            first, *ours = node.transactions
            assert (first.sender, first.error) == (FOREIGN, "")
            assert [transaction.method for transaction in ours] == ["UpdateDeployment", "FinalizeDeployment"]

    play(story())


def test_a_transaction_that_does_not_end_is_busy_and_still_not_cancelled(play):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene, "[rpm_ostree]\ntransaction_timeout = 0.8\n")
            await node.start_rpm_ostree()
            theirs = node.rpm_ostree.begin_foreign("install vim")
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.RPM_OSTREE_BUSY, "PkgChange", FOREIGN, "0.8 s")
            assert (kept(node), node.transactions) == (before, [])

            theirs.release.set()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert (node.transactions[0].sender, node.transactions[0].error) == (FOREIGN, "")

    play(story())


def test_a_switch_taken_back_while_another_client_is_waited_for_is_never_begun(play):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene)
            await node.start_rpm_ostree()
            theirs = node.rpm_ostree.begin_foreign("install vim")
            await node.run_agent(AGENT)
            await told.wait_for("waiting", contains="PkgChange")
            with hearing(node.rpm_ostree._service, f"{SYSROOT}.RegisterClient") as looking_again:
                scene.ask_for(KernelType.DEFAULT)
                await looking_again.wait()
            theirs.release.set()
            await reaches(told, node, KernelType.DEFAULT, assemblies=0, reboots=0)
            assert kept(node) == before

    play(story())


def test_another_client_whose_daemon_dies_is_waited_for_no_longer(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            prepare(scene)
            await node.start_rpm_ostree()
            node.rpm_ostree.begin_foreign("install vim")
            await node.run_agent(AGENT)
            await told.wait_for("waiting", contains="PkgChange")
            await node.rpm_ostree.stop()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_daemon_that_is_stuck_with_what_was_never_started_needs_a_restart(play):
    """rpm-ostreed before 2021.7 never forgets a transaction whose client left before ``Start``."""

    async def story():
        async with served(profile="2020.8") as (scene, told):
            node, before = scene.node, prepare(scene, "[rpm_ostree]\ntransaction_timeout = 0.8\n")
            node.faults.manner = Manner.CLOSING
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.RPM_OSTREE_TIMEOUT, "the transaction's socket")
            node.faults.manner = Manner.PROPER
            await told_of(told, node, State.RETRYING, Code.RPM_OSTREE_BUSY, "UpdateDeployment", "0.8 s")
            assert kept(node) == before

            await node.rpm_ostree.stop()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


@pytest.mark.parametrize("fault", [PAYLOAD_CORRUPT, DEPSOLVE_DEPENDENCY], ids=["payload", "depsolve"])
def test_what_rpm_ostree_says_is_passed_on_and_it_is_tried_again(play, fault):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene)
            node.faults.at.append(fault)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.TRANSACTION_FAILED, "rpm-ostree: ", fault.text)
            assert kept(node) == before
            assert node.transactions[-1].error == fault.text
            assert leftovers(node) == []

            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


@pytest.mark.parametrize("step", [ANY, "Processing packages", "Staging deployment"])
def test_a_daemon_that_dies_before_it_staged_costs_a_retry_and_nothing_else(play, step):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene)
            node.faults.at.append(Die(step))
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.TRANSACTION_LOST, "was not heard", "nothing is staged")
            assert kept(node) == before
            assert node.assemblies == 0

            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_daemon_that_dies_with_its_work_done_has_done_it(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            prepare(scene)
            node.faults.at.append(Die(END))
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert [transaction.method for transaction in node.transactions] == ["FinalizeDeployment"]

    play(story())


@pytest.mark.parametrize("step", [ANY, END])
def test_a_daemon_that_dies_while_it_finalizes_is_asked_again(play, step):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            prepare(scene, "[reboot]\nstuck_after = 0.3\n")
            node.faults.inhibitor = "not yet"
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.REBOOT_REFUSED)
            node.faults.at.append(Die(step))
            node.faults.inhibitor = ""
            await told_of(told, node, State.RETRYING, Code.REBOOT_STUCK)
            assert node.rpm_ostree.system.staged.locked is (step == ANY)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


@pytest.mark.parametrize("step", ["Processing packages", END])
def test_work_that_goes_on_unheard_is_waited_for_and_found(play, step):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            prepare(scene)
            node.faults.at.append(LosePeers(step))
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert "retrying" not in told.states

    play(story())


@pytest.mark.parametrize("manner", [Manner.SILENT, Manner.CLOSING])
def test_a_transaction_whose_socket_is_not_to_be_had_is_left_and_asked_for_again(play, manner):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene, "[rpm_ostree]\nconnect_timeout = 0.5\n")
            node.faults.manner = manner
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.RPM_OSTREE_TIMEOUT, "the transaction's socket")
            assert (kept(node), node.transactions) == (before, [])
            assert node.rpm_ostree.transaction is None

            node.faults.manner = Manner.PROPER
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


@pytest.mark.parametrize(
    ("twist", "words"),
    [(Twist.NO_CHANGE, "nothing is staged"), (Twist.PRETENDED, "nothing is staged")],
    ids=["no-change", "pretended"],
)
def test_success_without_a_deployment_is_a_failure(play, twist, words):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene)
            node.faults.twists.append(twist)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.STAGED_MISMATCH, words)
            assert kept(node) == before
            assert node.transactions[-1].error == ""

            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_deployment_that_lacks_a_package_is_dropped_and_never_booted(play):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, prepare(scene)
            node.faults.twists.append(Twist.INCOMPLETE)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.STAGED_MISMATCH, "lacks kernel-rt-")
            await reaches(told, node, REALTIME, assemblies=2, reboots=1)
            methods = [transaction.method for transaction in node.transactions]
            assert methods == ["UpdateDeployment", "Cleanup", "UpdateDeployment", "FinalizeDeployment"]
            booted_before, booted_now = before.deployments[0], node.booted
            assert [deployment.checksum for deployment in node.deployments] == [
                booted_now.checksum,
                booted_before.checksum,
            ]
            assert len(booted_now.tree.origin.local) == 5

    play(story())


def test_a_whole_deployment_that_lost_its_lock_is_said_to_be_without_it(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            prepare(scene, '[reboot]\nstrategy = "never"\n')
            node.faults.twists.append(Twist.LOCK_LOST)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.STAGED_MISMATCH, "is not locked")
            line = await told.wait_for("staged")
            assert "not locked: any reboot applies it" in line

            await node.reboot()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())

    play(story())
