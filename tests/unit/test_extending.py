"""CONTRIBUTING.md says what it takes to add a part: done to a copy of the program as it says, the part works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
BEFORE = "from tests.unit.nodes import *\nfrom mcd_rt.model.kernel import KernelType\n"

KERNEL_TYPE = {
    "mcd_rt/model/kernel.py": {
        '    PAGES_64K = "64k-pages"\n': '    PAGES_64K = "64k-pages"\n    TOY = "toy"\n',
        "FLAVORS: tuple[Flavor, ...] = (\n": (
            "FLAVORS: tuple[Flavor, ...] = (\n"
            '    Flavor(KernelType.TOY, "kernel-toy", ("core", "modules"), ("modules-core",)),\n'
        ),
    }
}
A_TOY_NODE = """
from mcd_rt.desired.machineconfig import parse_machine_config
from mcd_rt.plan.plan import make_plan
from mcd_rt.report.metrics_table import table

TOY = Kernel("kernel-toy", ("core", "modules", "modules-core"), "5.14.0", "284.el9_2")
head = b"apiVersion: machineconfiguration.openshift.io/v1\\nkind: MachineConfig\\nmetadata: {name: a}\\n"
wanted = parse_machine_config(head + b"spec: {kernelType: toy}\\n", "a").kernel_type
there = situation(wanted, on_default(), base=base_of(EL9), content=content(TOY))
[assembly] = make_plan(there).steps
assert (assembly.remove, {p.nevra for p in assembly.install}) == (EL9.names, set(TOY.nevras)), assembly
arrived = make_plan(situation(wanted, on_flavor(EL9, TOY), base=base_of(EL9), content=content(TOY)))
assert arrived.summary.startswith("toy is wanted and runs"), arrived
assert "`toy`" in table()
"""

CHECK = {
    "mcd_rt/plan/toycheck.py": {
        "": (
            "from mcd_rt.errors import Code, Failure\n\n\n"
            "def find_toys(situation, change):\n"
            "    return Failure(Code.LAYERING_LOCKED, f'{change.target.kernel_type} and toys')\n"
        )
    },
    "mcd_rt/plan/refusals.py": {
        "from mcd_rt.plan.situation import Situation\n": (
            "from mcd_rt.plan.situation import Situation\nfrom mcd_rt.plan.toycheck import find_toys\n"
        ),
        "    _find_conflict,\n": "    _find_conflict,\n    find_toys,\n",
    },
}
A_REFUSED_NODE = """
from mcd_rt.model.plan import Refused
from mcd_rt.plan.plan import make_plan

plan = make_plan(situation(KernelType.REALTIME, on_default(), base=base_of(EL9), content=content(EL9_RT)))
assert isinstance(plan, Refused) and plan.reason.message == "realtime and toys", plan
assert not isinstance(make_plan(situation(KernelType.DEFAULT, on_default())), Refused)
"""

METRIC = {
    "mcd_rt/report/families.py": {
        "FAMILIES = (\n": 'TOYS = _counter("toys", "Toys that were found.")\n\nFAMILIES = (\n    TOYS,\n',
    },
    "mcd_rt/report/metrics.py": {
        "        self._count(f.REBOOTS)\n": "        self._count(f.REBOOTS)\n        self._count(f.TOYS, by=2)\n",
    },
}
A_SCRAPE = """
from pathlib import Path
from mcd_rt.hostpaths import HostPaths
from mcd_rt.report.collector import render_text
from mcd_rt.report.metrics import Metrics
from mcd_rt.report.metrics_table import table
from tests.effects_double import EffectsDouble

metrics = Metrics(EffectsDouble(), HostPaths(Path("/nowhere")))
assert "mcd_rt_toys_total 0.0" in render_text(metrics).decode()
metrics.count_reboot()
assert "mcd_rt_toys_total 2.0" in render_text(metrics).decode()
assert "| `mcd_rt_toys_total` | counter |" in table()
"""

STRATEGY = {
    "mcd_rt/reboot/toy.py": {
        "": (
            "from mcd_rt.reboot.verdict import Go\n\n\n"
            "def decide_toy(situation):\n"
            "    return Go(f'the toys are put away, {situation.settings.strategy}')\n"
        )
    },
    "mcd_rt/reboot/decide.py": {
        '    "never": decide_never,\n': '    "never": decide_never,\n    "toy": decide_toy,\n',
        "\nfrom mcd_rt.reboot.verdict": "\nfrom mcd_rt.reboot.toy import decide_toy\nfrom mcd_rt.reboot.verdict",
    },
    "mcd_rt/ranges.py": {'"permission-file", "never")\n': '"permission-file", "never", "toy")\n'},
}
A_REBOOT = """
from pathlib import Path
from mcd_rt.hostpaths import HostPaths
from mcd_rt.reboot.decide import STRATEGIES, decide
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.settings import load_settings

assert "toy" in STRATEGIES
dropin = Path("etc/mcd-rt/config.d/a.toml")
dropin.parent.mkdir(parents=True, exist_ok=True)
dropin.write_text('[reboot]\\nstrategy = "toy"')
settings = load_settings(HostPaths(Path.cwd())).reboot
assert "put away, toy" in str(decide(RebootSituation(settings, now=2.0, staged_at=1.0)))
"""

PARTS = {
    "a kernel type": (KERNEL_TYPE, A_TOY_NODE),
    "a check": (CHECK, A_REFUSED_NODE),
    "a metric": (METRIC, A_SCRAPE),
}
if (TOP / "mcd_rt/reboot/decide.py").exists():
    PARTS["a reboot strategy"] = (STRATEGY, A_REBOOT)


@pytest.fixture
def copy(tmp_path):
    """A copy of the program, to be changed."""
    shutil.copytree(TOP / "mcd_rt", tmp_path / "mcd_rt", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def add(copy, edits):
    """Replace texts in files, each of which stands there once; a file that is not there yet begins with nothing."""
    for name, texts in edits.items():
        file = copy / name
        content = file.read_text() if file.exists() else ""
        for old, new in texts.items():
            assert not old or content.count(old) == 1, f"{name} has changed: {old!r}"
            content = content.replace(old, new, 1)
        file.write_text(content)


def run(copy, script):
    environment = os.environ | {"PYTHONPATH": f"{copy}:{TOP}", "PYTHONDONTWRITEBYTECODE": "1"}
    order = [sys.executable, "-c", BEFORE + script]
    return subprocess.run(order, cwd=copy, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("edits", "script"), PARTS.values(), ids=PARTS)
def test_a_part_that_is_added_as_it_is_said_works(copy, edits, script):
    assert run(copy, script).returncode != 0, "it works without the part: this test proves nothing"
    add(copy, edits)
    done = run(copy, script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_the_files_that_are_named_are_those_that_are_changed(part):
    text = (TOP / "CONTRIBUTING.md").read_text()
    _, found, rest = text.partition(f"\n### {part.removeprefix('a ').capitalize()}\n")
    assert found, f"no section for {part}"
    section = rest.partition("\n#")[0]
    edits, _ = PARTS[part]
    assert [name for name in edits if (TOP / name).exists() and f"`{name}`" not in section] == []
    assert re.findall(r"`mcd_rt/[\w/]+\.py`", section)
