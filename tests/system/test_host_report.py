"""A host whose test fails is shown as an operator would look at it, also where a fixture fails."""

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
STORY = """\
import pytest
from tests.system.conftest import shown

class Machine:
    name = "node-1"
    def report(self):
        return f"what is seen of {self.name}"

class Host:
    machine = Machine()

@pytest.fixture
def host(request):
    return shown(Host(), request)

@pytest.fixture
def booted(host):
    raise AssertionError("it does not boot")

def test_that_has_no_host_to_boot(booted): pass
def test_that_fails(host): raise AssertionError("it is not steady")
def test_that_goes_well(host): pass
"""


def test_a_host_is_shown_after_a_failure_and_only_then(tmp_path: Path):
    (tmp_path / "test_story.py").write_text(STORY)
    order = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "tests.system.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run([*order, str(tmp_path)], cwd=TOP, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    for failure in ("it does not boot", "it is not steady"):
        told = done.stdout.partition(failure)[2].partition("\n____")[0]
        assert "what is seen of node-1" in told, done.stdout
    assert done.stdout.count("what is seen of node-1") == 2
