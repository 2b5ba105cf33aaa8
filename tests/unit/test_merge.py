"""Many MachineConfigs → one wish, by the MCO's rules (reference/machine-config-daemon.md 1.2)."""

from itertools import permutations

import pytest

from mcd_rt.desired import sources
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.desired.merge import merge_configs
from mcd_rt.desired.sources import ConfigSeen, read_desired, recall_node_config
from mcd_rt.errors import Code, ConfigInvalid
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.desired import MachineConfig
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.settings import NodeConfigSettings

PROPOSAL = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  labels:
    machineconfiguration.openshift.io/role: "worker"
  name: 99-worker-realtime-kernel
spec:
  realtime: true
"""
RENDERED = """\
{"kind": "MachineConfig", "apiVersion": "machineconfiguration.openshift.io/v1",
 "metadata": {"name": "rendered-worker-1"},
 "spec": {"osImageURL": "registry.example/os@sha256:%s", "kernelArguments": ["a=1"], "fips": true,
          "kernelType": "default", "extensions": []}}
""" % ("0" * 64)


def config(name, kernel_type=None, role="worker", **fields):
    parts = {"os_image": "", "extensions_image": "", "extensions": (), "kernel_arguments": (), "fips": None} | fields
    return MachineConfig(f"/etc/{name}.yaml", name, role, kernel_type, **parts)


def test_realtime_in_any_config_beats_default_whatever_the_order():
    parts = [
        config("50-performance", KernelType.DEFAULT),
        config("60-rt", KernelType.REALTIME),
        config("99-later", KernelType.DEFAULT, role="infra"),
    ]
    for order in permutations(parts):
        desired = merge_configs(config("rendered-worker-1", KernelType.DEFAULT, role=""), order)
        assert desired.kernel_type is KernelType.REALTIME
        assert desired.name == "60-rt"


def test_nobody_says_anything_of_the_kernel():
    assert merge_configs(None, [config("a"), config("b")]).kernel_type is KernelType.DEFAULT


def test_fips_and_kernel_arguments_survive_whatever_the_order():
    parts = [
        config("99-fips", fips=True, kernel_arguments=("c", "d")),
        config("50-rt", KernelType.REALTIME, kernel_arguments=("b",)),
        config("10-infra", role="infra", kernel_arguments=("e", "b")),
    ]
    for order in permutations(parts):
        desired = merge_configs(config("rendered", kernel_arguments=("a",)), order)
        assert desired.fips is True
        assert desired.kernel_arguments == ("a", "b", "c", "d", "e", "b")
        assert desired.added_arguments == ("b", "c", "d", "e", "b")


def test_arguments_of_the_rendered_config_are_not_added_ones():
    assert merge_configs(config("rendered", kernel_arguments=("a", "b")), []).added_arguments == ()


@pytest.mark.parametrize(
    ("said", "fips"),
    [
        ((None, None), None),
        ((False, None), False),
        ((None, False), False),
        ((False, True), True),
        ((True, False), True),
        ((None, True), True),
    ],
)
def test_fips_is_silent_only_if_nobody_says_anything_of_it(said, fips):
    assert merge_configs(config("rendered", fips=said[0]), [config("a", fips=said[1])]).fips is fips


def test_the_last_image_in_order_counts():
    parts = [config("b", os_image="second"), config("a", os_image="first")]
    assert merge_configs(config("rendered", os_image="rendered"), parts).os_image == "second"
    assert merge_configs(config("rendered", os_image="rendered"), [config("a")]).os_image == "rendered"


def test_the_last_extensions_image_in_order_counts():
    rendered = config("rendered", os_image="os", extensions_image="rendered")
    parts = [config("b", extensions_image="second"), config("a", extensions_image="first")]
    assert merge_configs(rendered, parts).extensions_image == "second"
    assert merge_configs(rendered, [config("a")]).extensions_image == "rendered"
    assert merge_configs(config("rendered", os_image="os"), [config("a")]).extensions_image == ""


def test_two_kernels_at_once_are_an_error_that_names_both_files():
    parts = [config("a", KernelType.REALTIME), config("b", KernelType.PAGES_64K)]
    with pytest.raises(ConfigInvalid) as caught:
        merge_configs(None, parts)
    assert caught.value.failure.code is Code.CONFIG_INVALID
    assert caught.value.failure.message == "/etc/b.yaml: b asks for 64k-pages, a (/etc/a.yaml) for realtime"


def test_the_kernel_devel_extension_does_not_go_with_another_kernel():
    devel = config("devel", extensions=("usbguard", "kernel-devel"))
    with pytest.raises(ConfigInvalid, match=r"/etc/devel.yaml: devel asks for the extension kernel-devel"):
        merge_configs(devel, [config("rt", KernelType.REALTIME)])
    assert merge_configs(devel, [config("plain", KernelType.DEFAULT)]).kernel_type is KernelType.DEFAULT


@pytest.fixture
def node(tmp_path):
    paths = HostPaths(tmp_path)

    def write(place, text):
        file = paths.below(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return paths, write


def test_the_proposals_config_dropped_into_the_directory_works_as_printed(node):
    paths, write = node
    write("/etc/machine-config-daemon/currentconfig", RENDERED)
    write("/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml", PROPOSAL)
    desired = read_desired(paths, NodeConfigSettings())
    assert desired.kernel_type is KernelType.REALTIME
    assert desired.name == "99-worker-realtime-kernel"
    assert desired.os_image.startswith("registry.example/os@sha256:")
    assert (desired.kernel_arguments, desired.fips) == (("a=1",), True)


@pytest.mark.parametrize("place", NodeConfigSettings().sources)
def test_every_place_of_the_rendered_config_is_found(node, place):
    paths, write = node
    write("/etc/machine-config-daemon/currentconfig", "")  # as on HyperShift
    write(place, RENDERED)
    assert read_desired(paths, NodeConfigSettings()).name == "rendered-worker-1"


def test_the_first_place_that_has_one_counts(node):
    paths, write = node
    write("/etc/mcs-machine-config-content.json", RENDERED.replace("rendered-worker-1", "served"))
    write("/etc/mcd-currentconfig.json", RENDERED)
    assert read_desired(paths, NodeConfigSettings()).name == "rendered-worker-1"


def test_a_directory_alone_is_enough_and_nothing_at_all_is_waited_for(node):
    paths, write = node
    absent = read_desired(paths, NodeConfigSettings())
    assert isinstance(absent, Absent)
    assert "currentconfig does not exist" in absent.reason
    write("/etc/mcd-rt/machineconfig.d/.hidden.yaml", "not: {a config")
    write("/etc/mcd-rt/machineconfig.d/notes.txt", "not: {a config")
    write("/etc/mcd-rt/machineconfig.d/empty.yaml", "\n")
    assert isinstance(read_desired(paths, NodeConfigSettings()), Absent)
    write("/etc/mcd-rt/machineconfig.d/a.yaml", PROPOSAL)
    assert read_desired(paths, NodeConfigSettings()).kernel_type is KernelType.REALTIME


def test_one_config_that_cannot_be_believed_makes_the_whole_unbelievable(node):
    paths, write = node
    write("/etc/machine-config-daemon/currentconfig", RENDERED)
    write("/etc/mcd-rt/machineconfig.d/a.yaml", PROPOSAL.replace("realtime: true", "realtime: maybe"))
    with pytest.raises(ConfigInvalid, match=r"machineconfig.d/a.yaml:8:13: spec.realtime: found 'maybe'"):
        read_desired(paths, NodeConfigSettings())


def test_a_directory_that_is_a_file_is_an_error_that_names_it(node):
    paths, write = node
    write("/etc/mcd-rt/machineconfig.d", PROPOSAL)
    with pytest.raises(ConfigInvalid, match=r"machineconfig.d: cannot be read: Not a directory"):
        read_desired(paths, NodeConfigSettings())


def test_a_config_is_read_again_only_when_a_file_has_changed(node, mocker):
    paths, write = node
    seen, settings = ConfigSeen(), NodeConfigSettings()
    write("/etc/machine-config-daemon/currentconfig", RENDERED)
    first = recall_node_config(paths, settings, seen)
    read = mocker.spy(sources, "read_node_config")
    assert recall_node_config(paths, settings, seen) is first
    assert read.call_count == 0
    write("/etc/mcd-rt/machineconfig.d/a.yaml", PROPOSAL)
    assert recall_node_config(paths, settings, seen).desired.kernel_type is KernelType.REALTIME
    write("/etc/mcd-rt/machineconfig.d/a.yaml", PROPOSAL.replace("realtime: true", "realtime: false"))
    assert recall_node_config(paths, settings, seen).desired.kernel_type is KernelType.DEFAULT
    assert read.call_count == 2
    paths.below("/etc/machine-config-daemon/currentconfig").unlink()
    paths.below("/etc/mcd-rt/machineconfig.d/a.yaml").unlink()
    assert isinstance(recall_node_config(paths, settings, seen), Absent)
