"""The example for isolated cores is what the agent reads, and the MachineConfig delivers it where it is read."""

import re
from pathlib import Path
from urllib.parse import unquote

import yaml

from mcd_rt.desired.machineconfig import parse_machine_config
from mcd_rt.hostpaths import HostPaths
from mcd_rt.settings import load_settings

EXAMPLES = Path(__file__).parents[2] / "packaging/examples"
DROP_IN = EXAMPLES / "60-isolated-cores.toml"
DELIVERY = EXAMPLES / "99-worker-realtime-isolated-cores.yaml"


def cpus(text):
    found = set()
    for part in re.sub(r"^[a-z_,]*(?=\d)", "", text).split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_the_example_is_taken_as_it_is_and_leaves_the_system_the_other_cores(tmp_path):
    paths = HostPaths(tmp_path)
    place = paths.settings[-1] / DROP_IN.name
    place.parent.mkdir(parents=True)
    place.write_bytes(DROP_IN.read_bytes())
    arguments = dict(argument.split("=", 1) for argument in load_settings(paths).tuning.kernel_arguments)
    isolated = {key: cpus(arguments[key]) for key in ("isolcpus", "nohz_full", "rcu_nocbs")}
    assert set(map(frozenset, isolated.values())) == {frozenset(range(2, 8))}
    assert cpus(arguments["systemd.cpu_affinity"]) == {0, 1}


def test_the_machine_config_delivers_the_example_and_asks_for_nothing_itself():
    parsed = parse_machine_config(DELIVERY.read_bytes(), "example")
    assert (parsed.name, parsed.role, parsed.kernel_type) == ("99-worker-realtime-isolated-cores", "worker", None)
    [file] = yaml.safe_load(DELIVERY.read_text())["spec"]["config"]["storage"]["files"]
    assert Path(file["path"]).name == DROP_IN.name
    assert Path(file["path"]).parent == HostPaths(Path("/")).settings[-1]
    assert unquote(file["contents"]["source"].removeprefix("data:,")) == DROP_IN.read_text()
