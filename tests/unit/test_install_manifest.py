"""The MachineConfig that installs the agent on a pool is what its sources say, and its settings are believed."""

import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from mcd_rt.desired.machineconfig import parse_machine_config
from mcd_rt.hostpaths import HostPaths
from mcd_rt.settings import load_settings

MANIFESTS = Path(__file__).parents[2] / "packaging/manifests"


@pytest.fixture
def made():
    return yaml.safe_load((MANIFESTS / "99-worker-mcd-rt.yaml").read_text())


@pytest.fixture
def source():
    return yaml.safe_load((MANIFESTS / "99-worker-mcd-rt.bu").read_text())


def test_it_is_a_machine_config_of_the_pool_that_asks_for_no_kernel(made):
    parsed = parse_machine_config((MANIFESTS / "99-worker-mcd-rt.yaml").read_bytes(), "install")
    assert (parsed.name, parsed.role, parsed.kernel_type) == ("99-worker-mcd-rt", "worker", None)
    assert set(made["spec"]) == {"config"}  # nothing that an API server would prune


def test_it_is_what_the_source_for_butane_says(made, source):
    assert source["metadata"] == made["metadata"]
    [asked], [unit] = source["systemd"]["units"], made["spec"]["config"]["systemd"]["units"]
    assert (unit["name"], unit["enabled"]) == (asked["name"], asked["enabled"])
    assert unit["contents"] == (MANIFESTS / asked["contents_local"]).read_text()
    [asked], [file] = source["storage"]["files"], made["spec"]["config"]["storage"]["files"]
    assert {key: asked[key] for key in ("path", "mode", "overwrite")} == {
        key: file[key] for key in ("path", "mode", "overwrite")
    }
    assert unquote(file["contents"]["source"]) == "data:," + (MANIFESTS / asked["contents"]["local"]).read_text()


def test_its_settings_are_read_from_where_it_puts_them(source, tmp_path):
    [file] = source["storage"]["files"]
    target = tmp_path / file["path"].lstrip("/")
    target.parent.mkdir(parents=True)
    target.write_bytes((MANIFESTS / file["contents"]["local"]).read_bytes())
    assert target.parent in HostPaths(tmp_path).settings
    assert str(load_settings(HostPaths(tmp_path)).metrics.listen)


def test_the_proxy_reads_where_the_agent_serves():
    documents = list(yaml.safe_load_all((MANIFESTS / "monitoring.yaml").read_text()))
    served = tomllib.loads((MANIFESTS / "60-pool.toml").read_text())["metrics"]["listen"]
    [pods] = [document["spec"] for document in documents if document["kind"] == "DaemonSet"]
    [proxy] = pods["template"]["spec"]["containers"]
    assert f"--upstream=http://{served}/" in proxy["args"]
    [monitor] = [document["spec"] for document in documents if document["kind"] == "PodMonitor"]
    assert monitor["selector"] == pods["selector"]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == [
        port["name"] for port in proxy["ports"]
    ]
    names = {document["metadata"]["name"] for document in documents if document["kind"] in ("Secret", "ServiceAccount")}
    assert monitor["podMetricsEndpoints"][0]["bearerTokenSecret"]["name"] in names
