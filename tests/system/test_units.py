"""systemd's own tool has nothing to say against the units."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
MANIFESTS = UNITS.parent / "packaging/manifests"
HOST = Path("/usr/lib/systemd/system")


@pytest.fixture
def root(tmp_path):
    """A host with systemd's own units, ours, and their programs."""
    shutil.copytree(HOST, tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "bin").symlink_to("usr/bin")
    programs = tmp_path / "usr/bin"
    programs.mkdir()
    for program in ("mcd-rt", "kill", "sh", "chown", "systemd-tmpfiles"):
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(0o755)
    ours = tmp_path / "etc/systemd/system"
    shutil.copytree(UNITS, ours)
    return tmp_path


def verified(root, *units):
    """What it says; its exit code is 0 for an unknown key."""
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", *units],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return found.returncode, found.stdout + found.stderr


def test_systemd_finds_nothing(root):
    units = sorted(unit.name.replace("@.", "@1.") for unit in UNITS.iterdir())
    assert "mcd-rt.service" in units
    assert verified(root, *units) == (0, "")


def test_systemd_finds_nothing_in_what_installs_the_agent_on_a_pool(root):
    names = ("mcd-rt-install.service", "mcd-rt-install.timer")
    for name in names:
        shutil.copy(MANIFESTS / name, root / "etc/systemd/system")
    script = root / "usr/local/bin/mcd-rt-install.sh"
    script.parent.mkdir(parents=True)
    shutil.copy2(MANIFESTS / script.name, script)
    script.chmod(0o755)
    assert verified(root, *names) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("WatchdogSec", "WatchdogSex", "WatchdogSex"),
        ("/usr/bin/mcd-rt run", "/usr/bin/mcd-rt-of-old run", "mcd-rt-of-old"),
        ("Type=notify", "Type=notified", "notified"),
    ],
)
def test_systemd_would_find_something(root, old, new, complaint):
    unit = root / "etc/systemd/system/mcd-rt.service"
    unit.write_text(unit.read_text().replace(old, new))
    assert complaint in verified(root, "mcd-rt.service")[1]
