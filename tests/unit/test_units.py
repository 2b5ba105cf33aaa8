"""The units of the workers are what systemd takes without a word, and allow next to nothing."""

import re
import subprocess
from pathlib import Path
from shutil import which

import pytest

from mcd_rt.model.settings import ContentSettings

UNITS = Path(__file__).parents[2] / "systemd"
WORKERS = ("fetch", "inspect")
needs_systemd = pytest.mark.skipif(which("systemd-analyze") is None, reason="this host has no systemd-analyze")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units of the workers, with a command that is there and without manual pages that are not."""
    for worker in WORKERS:
        for name in (f"mcd-rt-{worker}.socket", f"mcd-rt-{worker}@.service"):
            lines = (UNITS / name).read_text().replace("/usr/bin/mcd-rt worker", "/bin/true").splitlines(keepends=True)
            (tmp_path / name).write_text("".join(line for line in lines if not line.startswith("Documentation=man:")))
    return tmp_path


def analyzed(*arguments: object) -> str:
    done = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@needs_systemd
@pytest.mark.parametrize("worker", WORKERS)
def test_systemd_has_nothing_to_say_about_a_unit(units, worker):
    assert analyzed("verify", units / f"mcd-rt-{worker}.socket", units / f"mcd-rt-{worker}@.service") == ""


@needs_systemd
@pytest.mark.parametrize(("worker", "most"), [("fetch", 13), ("inspect", 5)])
def test_a_worker_is_exposed_no_more_than_it_has_to_be(units, worker, most):
    analyzed("security", "--offline=true", f"--threshold={most}", units / f"mcd-rt-{worker}@.service")


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_listens_where_the_agent_looks_for_it(worker):
    assert f"ListenStream=/run/mcd-rt-{worker}.sock\n" in (UNITS / f"mcd-rt-{worker}.socket").read_text()


def test_only_the_worker_that_fetches_has_a_network_and_the_secret():
    fetch, inspect = ((UNITS / f"mcd-rt-{worker}@.service").read_text() for worker in WORKERS)
    assert ("LoadCredential=" in fetch, "LoadCredential=" in inspect) == (True, False)
    assert ("PrivateNetwork=yes" in fetch, "PrivateNetwork=yes" in inspect) == (False, True)


@pytest.mark.parametrize("file", ["/var/lib/kubelet/config.json", "/run/ostree/auth.json"])
def test_what_the_worker_may_not_read_it_is_lent(file):
    """Each with something empty in its place where there is none, which systemd would not start the unit for."""
    unit = (UNITS / "mcd-rt-fetch@.service").read_text()
    (name,) = re.findall(rf"^LoadCredential=(\S+):{re.escape(file)}$", unit, re.MULTILINE)
    assert f"SetCredential={name}:{{}}\n" in unit
    places = ContentSettings().authfile
    assert places.index(f"${{CREDENTIALS_DIRECTORY}}/{name}") < places.index(file)
