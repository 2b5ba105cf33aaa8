"""What an administrator applies is what the product reads, and the proposal's text as it is printed there."""

from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
import yaml

from mcd_rt.desired.machineconfig import parse_machine_config
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.settings import NodeConfigSettings

TOP = Path(__file__).parents[2]
MANIFESTS = TOP / "packaging/manifests"
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
NAME = "99-worker-realtime-kernel"


@pytest.fixture
def delivery():
    return yaml.safe_load((MANIFESTS / f"{NAME}-delivery.yaml").read_text())


def test_the_file_is_the_proposals_text():
    assert (MANIFESTS / f"{NAME}.yaml").read_text() == PROPOSAL


def test_the_delivery_is_a_machine_config_that_asks_for_nothing_itself(delivery):
    text = (MANIFESTS / f"{NAME}-delivery.yaml").read_bytes()
    parsed = parse_machine_config(text, "delivery")
    assert (parsed.name, parsed.role, parsed.kernel_type) == (f"{NAME}-delivery", "worker", None)
    assert set(delivery["spec"]) == {"config"}  # nothing that an API server would prune


def test_it_delivers_the_proposals_config_to_where_it_is_read(delivery):
    [file] = delivery["spec"]["config"]["storage"]["files"]
    media_type, _, data = file["contents"]["source"].removeprefix("data:").partition(",")
    assert (media_type, file["mode"], file["overwrite"]) == ("", 0o644, True)
    content = unquote_to_bytes(data)
    assert content.decode() == PROPOSAL
    assert parse_machine_config(content, file["path"]).kernel_type is KernelType.REALTIME
    assert str(Path(file["path"]).parent) in NodeConfigSettings().directories
    assert Path(file["path"]).suffix == ".yaml"


def test_the_source_for_butane_says_the_same(delivery):
    source = yaml.safe_load((MANIFESTS / f"{NAME}-delivery.bu").read_text())
    assert source["variant"] == "openshift"
    assert source["metadata"] == delivery["metadata"]
    [asked], [made] = source["storage"]["files"], delivery["spec"]["config"]["storage"]["files"]
    assert {key: asked[key] for key in ("path", "mode", "overwrite")} == {
        key: made[key] for key in ("path", "mode", "overwrite")
    }
    assert (MANIFESTS / asked["contents"]["local"]).read_text() == PROPOSAL
