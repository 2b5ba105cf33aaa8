"""The MachineConfig that installs the agent on a pool is what its sources say, and its settings are believed."""

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from mcd_rt.desired.machineconfig import parse_machine_config
from mcd_rt.hostpaths import HostPaths
from mcd_rt.settings import load_settings

TOP = Path(__file__).parents[2]
MANIFESTS = TOP / "packaging/manifests"


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
    units = made["spec"]["config"]["systemd"]["units"]
    for asked, unit in zip(source["systemd"]["units"], units, strict=True):
        assert (unit["name"], unit["enabled"]) == (asked["name"], asked["enabled"])
        assert unit["contents"] == (MANIFESTS / asked["contents_local"]).read_text()
    files = made["spec"]["config"]["storage"]["files"]
    for asked, file in zip(source["storage"]["files"], files, strict=True):
        told = ("path", "mode", "overwrite")
        assert {key: asked[key] for key in told} == {key: file[key] for key in told}
        assert unquote(file["contents"]["source"]) == "data:," + (MANIFESTS / asked["contents"]["local"]).read_text()


def test_its_unit_runs_the_script_that_it_delivers(source):
    script = source["storage"]["files"][1]
    assert script["mode"] == 0o755
    assert f"\nExecStart={script['path']}\n" in (MANIFESTS / "mcd-rt-install.service").read_text()
    started = re.findall(r"[\w-]+\.(?:service|socket)", (MANIFESTS / "mcd-rt-install.sh").read_text())
    assert set(started) - {"mcd-rt-install.service"} <= {path.name for path in (TOP / "systemd").iterdir()}
    assert "mcd-rt.service" in started


@pytest.mark.parametrize("unit", sorted(TOP.glob("systemd/*.service")) + sorted(TOP.glob("packaging/*/*.service")))
def test_no_unit_is_one_that_systemd_239_refuses(unit):
    """EL 8's: it knows no ``Restart=`` for what runs once. (Debian's takes it, and says nothing.)"""
    settings = [line.partition("=") for line in unit.read_text().splitlines() if "=" in line]
    found = {key: value for key, _, value in settings}
    assert found.get("Type") != "oneshot" or found.get("Restart", "no") == "no"


def test_its_settings_are_read_from_where_it_puts_them(source, tmp_path):
    file = source["storage"]["files"][0]
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
