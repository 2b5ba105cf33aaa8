"""A plain container: no systemd, no bus. The service says what is missing and what to do, waits, and ends when told."""

import os
from pathlib import Path

import pytest

from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from tests.system.host.scene import machine_config
from tests.system.package import install, make_root, packages, run_in, why_no_packages

pytestmark = pytest.mark.skipif(bool(why_no_packages()), reason=why_no_packages())
IMAGE = ImageReference("registry.example/os", "", f"sha256:{'0' * 64}", layout=False)
OS_RELEASE = "ID=rhcos\nVARIANT_ID=coreos\nVERSION_ID=4.16\n"
UNTIL_IT_SAYS = """\
mcd-rt run 2> /tmp/said & service=$!
while read -r line; do
    echo "$line"
    case $line in *"mcd-rt: $0: "*) mcd-rt status; echo "status: $?"; kill $service;; esac
done < /tmp/said
wait $service; echo "run: $?"
"""


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """The packages in a root that has a shell and little else, told to go for realtime."""
    root = tmp_path / "root"
    make_root(root)
    install(root, packages())
    (root / "etc/mcd-rt/config.d/50-tests.toml").write_text('[metrics]\nlisten = "unix:/run/mcd-rt/metrics.sock"\n')
    (root / "etc/mcd-rt/machineconfig.d/50-tests.yaml").write_text(machine_config(KernelType.REALTIME, IMAGE))
    (root / "usr/lib/os-release").write_text(OS_RELEASE)
    os.mkfifo(root / "tmp/said")
    return root


def until_it_says(root: Path, state: str) -> list[str]:
    """The service's lines until it is in a state, what `mcd-rt status` says then, and how both ended."""
    done = run_in(root, "/bin/sh", "-c", UNTIL_IT_SAYS, state)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_where_nothing_is_of_a_host_it_is_unsupported_and_says_why(container: Path):
    said = until_it_says(container, "unsupported")
    assert any("not booted from an ostree deployment: there is no /run/ostree-booted" in line for line in said), said
    assert said[-2:] == ["status: 0", "run: 0"], said


def test_where_the_bus_of_the_host_is_missing_it_says_so_and_how_to_mend_it(container: Path):
    (container / "run/ostree-booted").touch()
    said = until_it_says(container, "retrying")
    [failure] = [line for line in said if line.startswith("mcd-rt: retrying: ")]
    assert "bus-unavailable: cannot reach the bus: cannot connect to 'unix:path=/run/dbus/system_bus_socket'" in failure
    assert "In a container: the host's /run, see docs/installing.md" in failure
    assert said[-2:] == ["status: 3", "run: 0"], said
    assert (container / "usr/share/doc/mcd-rt/installing.md").exists()


def test_a_single_pass_there_has_failed(container: Path):
    (container / "run/ostree-booted").touch()
    done = run_in(container, "/usr/bin/mcd-rt", "apply")
    assert done.returncode == 1
    assert "bus-unavailable" in done.stderr
    assert not (container / "var/lib/mcd-rt/record.json").exists()
