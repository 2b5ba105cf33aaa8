"""Who manages the kernel is told by files and one setting, and never both do."""

import json
from dataclasses import replace

import pytest

from mcd_rt.desired.machineconfig import Absent
from mcd_rt.desired.sources import NodeConfig, read_node_config
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Change, Reboot, Waiting
from mcd_rt.model.record import Record
from mcd_rt.model.settings import NodeConfigSettings
from mcd_rt.model.state import State
from mcd_rt.observed.mcd import PROOFS, find_mcd
from mcd_rt.plan.management import judge_observed, reason_to_observe
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.situation import Neighbour
from tests.unit.nodes import (
    ARM,
    ARM_64K,
    EL9,
    EL9_RT,
    attempt_of,
    base_of,
    content,
    desired,
    host,
    on_default,
    on_flavor,
    situation,
    staged,
    target_of,
)

DEFAULT, REALTIME, PAGES_64K = KernelType.DEFAULT, KernelType.REALTIME, KernelType.PAGES_64K
PROOF = "/etc/machine-config-daemon/currentimage"
CURRENT = "/etc/machine-config-daemon/currentconfig"


# Is it here?


def write(paths, place, text=""):
    file = paths.below(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("place", PROOFS)
def test_each_file_that_only_it_writes_proves_it_even_empty(tmp_path, place):
    paths = HostPaths(tmp_path)
    assert find_mcd(paths) == ""
    write(paths, place)
    assert find_mcd(paths) == place


def test_a_config_alone_proves_nothing_and_nothing_outside_of_the_root_does(tmp_path):
    paths = HostPaths(tmp_path / "root")
    write(paths, CURRENT, "{}")
    write(HostPaths(tmp_path), PROOF)
    assert find_mcd(paths) == ""


def test_a_link_that_leads_nowhere_here_is_a_file_of_its_own(tmp_path):
    paths = HostPaths(tmp_path)
    paths.below("/etc").mkdir()
    paths.below("/etc/mcd-currentconfig.json").symlink_to("/nowhere/at/all")
    assert find_mcd(paths) == "/etc/mcd-currentconfig.json"


def test_a_place_that_cannot_be_looked_at_is_not_empty(tmp_path):
    etc = tmp_path / "etc"
    etc.symlink_to(etc)
    with pytest.raises(AgentError) as caught:
        find_mcd(HostPaths(tmp_path))
    assert caught.value.failure.code is Code.HOST_UNREADABLE
    assert str(etc / "machine-config-daemon") in caught.value.failure.message
    assert caught.value.failure.hint


def test_a_file_where_a_directory_should_be_has_nothing_in_it(tmp_path):
    (tmp_path / "etc").write_text("")
    assert find_mcd(HostPaths(tmp_path)) == ""


# What does it ask for?


def rendered(kernel_type, name="rendered-worker-1"):
    spec = {} if kernel_type is None else {"kernelType": kernel_type}
    identity = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig"}
    return json.dumps(identity | {"metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize(
    ("kernel_type", "known"),
    [("realtime", REALTIME), ("64k-pages", PAGES_64K), ("default", DEFAULT), ("", DEFAULT), (None, None)],
)
def test_the_rendered_kernel_type_is_known_beside_the_merged_one(tmp_path, kernel_type, known):
    paths = HostPaths(tmp_path)
    write(paths, CURRENT, rendered(kernel_type))
    alone = read_node_config(paths, NodeConfigSettings())
    assert isinstance(alone, NodeConfig)
    assert (alone.desired.kernel_type, alone.rendered_kernel_type) == (known or DEFAULT, known)

    if known is not PAGES_64K:
        write(paths, "/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.json", rendered("realtime", "99-rt"))
        both = read_node_config(paths, NodeConfigSettings())
        assert isinstance(both, NodeConfig)
        assert (both.desired.kernel_type, both.rendered_kernel_type) == (REALTIME, known)


def test_what_the_mcd_reads_counts_also_where_we_read_something_else(tmp_path):
    paths, settings = HostPaths(tmp_path), NodeConfigSettings(sources=("/etc/site/node.json",))
    write(paths, "/etc/site/node.json", rendered("default", "site"))
    assert read_node_config(paths, settings).rendered_kernel_type is None
    write(paths, CURRENT, rendered("realtime"))
    config = read_node_config(paths, settings)
    assert (config.desired.name, config.desired.kernel_type) == ("site", DEFAULT)
    assert config.rendered_kernel_type is REALTIME


def test_a_directory_alone_is_nothing_that_was_rendered(tmp_path):
    paths = HostPaths(tmp_path)
    assert isinstance(read_node_config(paths, NodeConfigSettings()), Absent)
    write(paths, "/etc/mcd-rt/machineconfig.d/a.json", rendered("realtime"))
    config = read_node_config(paths, NodeConfigSettings())
    assert isinstance(config, NodeConfig)
    assert (config.desired.kernel_type, config.rendered_kernel_type) == (REALTIME, None)


# Who does it?


@pytest.mark.parametrize("mcd", ["", PROOF])
@pytest.mark.parametrize("asked", [None, *KernelType])
def test_auto_observes_only_where_the_mcd_switches_the_kernel(mcd, asked):
    reason = reason_to_observe("auto", mcd, asked)
    assert bool(reason) is (mcd != "" and asked in (REALTIME, PAGES_64K))
    if reason:
        assert PROOF in reason
        assert str(asked) in reason


@pytest.mark.parametrize("mcd", ["", PROOF])
@pytest.mark.parametrize("asked", [None, *KernelType])
def test_the_setting_forces_either(mcd, asked):
    assert reason_to_observe("manage", mcd, asked) == ""
    assert "agent.manage" in reason_to_observe("observe", mcd, asked)


# What is said of it?


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        (REALTIME, host(EL9_RT.uname)),
        (DEFAULT, host(EL9.uname)),
        (PAGES_64K, host(ARM_64K.uname)),
    ],
)
def test_the_right_kernel_is_healthy(wanted, runs):
    settled = judge_observed(desired(wanted), runs, "because")
    assert (settled.state, settled.failure, settled.until) == (State.OBSERVING, None, None)
    assert all(word in settled.summary for word in (wanted, runs.kernel_release, "rendered-worker-1", "because"))


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        (REALTIME, host(EL9.uname)),
        (DEFAULT, host(EL9_RT.uname)),
        (DEFAULT, host(ARM_64K.uname)),
        (PAGES_64K, host(ARM.uname)),
        (PAGES_64K, host(EL9_RT.uname)),
    ],
)
def test_another_kernel_is_said_and_still_only_observed(wanted, runs):
    settled = judge_observed(desired(wanted), runs, "because")
    assert (settled.state, settled.until) == (State.OBSERVING, None)
    assert settled.failure is not None
    assert settled.failure.code is Code.VERIFICATION_FAILED
    assert runs.kernel_release in settled.failure.message
    assert settled.failure.message in settled.summary
    assert "because" in settled.summary
    assert settled.failure.hint


# Beside one that manages something else


def switch(*deployments, **given):
    return make_plan(situation(REALTIME, *deployments, base=base_of(EL9), content=content(EL9, EL9_RT), **given))


@pytest.mark.parametrize("relieved", [True, False])
def test_what_it_staged_is_not_built_upon_for_it_reboots_at_once(relieved):
    theirs = staged(on_default(requested=("usbguard",)), locked=False)
    assert isinstance(switch(theirs, on_default()), Change)
    plan = switch(theirs, on_default(), neighbour=Neighbour(relieved))
    assert isinstance(plan, Waiting)
    assert plan.reason.code is Code.STAGED_BY_ANOTHER
    assert theirs.id in plan.reason.message
    assert plan.reason.hint


def test_what_it_layered_is_left_to_it_unless_somebody_says_otherwise():
    layered = on_default(requested=("kernel-rt-core", "vim"), removals=EL9.names, kernel_release=EL9_RT.uname)
    wanted = situation(DEFAULT, layered)
    assert isinstance(make_plan(wanted), Change)
    assert isinstance(make_plan(replace(wanted, neighbour=Neighbour(relieved=True))), Change)
    plan = make_plan(replace(wanted, neighbour=Neighbour(relieved=False)))
    assert isinstance(plan, Waiting)
    assert plan.reason.code is Code.KERNEL_OVERRIDDEN
    assert "kernel-rt-core" in plan.reason.message
    assert "vim" not in plan.reason.message
    assert "agent.manage" in plan.reason.hint


def test_what_we_staged_goes_on_beside_it():
    ours = staged(on_flavor(EL9, EL9_RT))
    record = Record(attempt=attempt_of(target_of(EL9, EL9_RT), ours.id))
    beside = Neighbour(relieved=False)
    assert isinstance(switch(ours, on_default(), record=record, neighbour=beside), Reboot)
    assert isinstance(switch(on_default(), neighbour=beside), Change)
