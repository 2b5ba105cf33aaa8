"""A node of a pool gets the agent by the delivered MachineConfig: with a registry, without one, and another version."""

import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.podman import ASKED, IMAGES, REGISTRY
from tests.system.host.scene import STEADY_REALTIME, Host
from tests.system.host.usrlayer import PACKAGING
from tests.system.package import install, make_root, packages

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
MANIFEST = PACKAGING / "manifests/99-worker-mcd-rt.yaml"
INSTALLER = "mcd-rt-install.service"
FIRST, SECOND = "0" * 64, "2" * 64
SOON = "[Timer]\nOnUnitInactiveSec=\nOnUnitInactiveSec=1s\nAccuracySec=100ms\n"
LABEL = "/usr/local/lib/mcd-rt/image"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's image in two versions, as roots."""
    place = tmp_path_factory.mktemp("images")
    make_root(place / FIRST)
    install(place / FIRST, packages())
    for folder in ("usr/local", "etc"):
        (place / FIRST / "host" / folder).mkdir(parents=True)
    subprocess.run(["cp", "-al", str(place / FIRST), str(place / SECOND)], check=True)
    (place / SECOND / "usr/lib/mcd-rt/second").touch()
    return place


def deliver(host: Host) -> None:
    """What the machine-config-operator does with it."""
    config = yaml.safe_load(MANIFEST.read_text())["spec"]["config"]
    etc, local = host.machine.etc, host.machine.place / "local"
    for file in config["storage"]["files"]:
        folder, _, name = file["path"].removeprefix("/").partition("/")
        place = etc / name if folder == "etc" else local / name.removeprefix("local/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(unquote(file["contents"]["source"].removeprefix("data:,")))
        place.chmod(file["mode"])
    for unit in config["systemd"]["units"]:
        (etc / "systemd/system" / unit["name"]).write_text(unit["contents"])
        enable = ["systemctl", f"--root={etc.parent}", "enable", "--quiet", unit["name"]]
        assert unit["enabled"]
        subprocess.run(enable, check=True)


def registry(host: Host, *, up: bool) -> None:
    """Which the host reaches, or not."""
    place = host.machine.sysroot.var / REGISTRY.relative_to("/var")
    place.touch() if up else place.unlink(missing_ok=True)


@pytest.fixture
def node(bare_host: Host, images: Path) -> Host:
    """A host that will be given the agent; its registry is down."""
    (bare_host.machine.place / "local/bin").mkdir(parents=True)
    (bare_host.machine.sysroot.var / IMAGES.relative_to("/var")).mkdir()
    bare_host.machine.options += [f"--bind={bare_host.machine.place}/local:/usr/local", f"--bind-ro={images}:{IMAGES}"]
    deliver(bare_host)
    bare_host.configure('[reboot]\nstrategy = "immediate"\n', name="70-story")
    bare_host.drop_in("mcd-rt-install.timer", SOON)
    return bare_host


def test_an_agent_is_installed_once_and_needs_no_registry_from_then_on(node: Host):
    node.boot()
    node.journal.wait_for("connection refused", unit=INSTALLER)
    node.journal.wait_for("connection refused", unit=INSTALLER)  # it is tried again
    registry(node, up=True)
    node.journal.wait_for("waiting: config-missing")
    asked = [line.split()[0] for line in node.machine.run("cat", str(ASKED)).splitlines()]
    assert asked[-3:] == ["image", "pull", "run"]
    node.machine.run("systemctl", "start", INSTALLER)  # until it is through
    installed = node.show("ActiveState", "Result", unit=INSTALLER)
    assert installed == {"ActiveState": "active", "Result": "success"}
    assert node.machine.run("cat", LABEL).rstrip().endswith(f"@sha256:{FIRST}")

    registry(node, up=False)
    node.ask_for(KernelType.REALTIME)
    node.wait_reboot()
    node.journal.wait_for(STEADY_REALTIME)  # it verified the reboot it asked for
    assert node.show("ActiveState", "Result", unit=INSTALLER) == installed
    assert node.machine.attempt("cat", str(ASKED)).returncode != 0
    assert node.show("User", "NRestarts") == {"User": "mcd-rt", "NRestarts": "0"}

    another_version_waits_for_the_registry_and_the_one_that_is_there_does_not(node)


def another_version_waits_for_the_registry_and_the_one_that_is_there_does_not(node: Host) -> None:
    unit = node.machine.etc / "systemd/system" / INSTALLER
    unit.write_text(unit.read_text().replace(FIRST, SECOND))
    node.machine.run("systemctl", "reboot", "--no-block")
    node.wait_reboot()
    node.journal.wait_for(STEADY_REALTIME)
    node.journal.wait_for("connection refused", unit=INSTALLER)
    assert node.machine.attempt("test", "-e", "/usr/local/lib/mcd-rt/second").returncode != 0

    registry(node, up=True)
    node.journal.wait_for("Stopped mcd-rt.service")
    node.journal.wait_for(STEADY_REALTIME)
    node.machine.run("systemctl", "start", INSTALLER)  # until it is through
    assert node.machine.run("cat", LABEL).rstrip().endswith(f"@sha256:{SECOND}")
    assert node.machine.attempt("test", "-e", "/usr/local/lib/mcd-rt/second").returncode == 0
    assert node.show("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    assert node.machine.boots == 3


def test_an_installation_that_breaks_off_is_done_again_and_starts_only_what_is_whole(node: Host):
    registry(node, up=True)
    (node.machine.etc / "systemd/system/mcd-rt-install.timer.d/50-story.conf").unlink()
    script = node.machine.place / "local/bin/mcd-rt-install.sh"
    whole = script.read_text()
    script.write_text(whole.replace('\necho "$IMAGE" >', '\nfalse; echo "$IMAGE" >'))
    node.boot()
    assert node.show("ActiveState", unit=INSTALLER) == {"ActiveState": "failed"}
    assert node.machine.attempt("test", "-e", LABEL).returncode != 0
    script.write_text(whole)
    node.machine.run("systemctl", "start", INSTALLER)
    node.journal.wait_for("waiting: config-missing")
    assert node.machine.run("cat", LABEL).rstrip().endswith(FIRST)

    unit = node.machine.etc / "systemd/system" / INSTALLER
    unit.write_text(unit.read_text().replace(FIRST, SECOND))
    script.write_text(whole.replace("\npodman run", "\nfalse podman run"))
    node.machine.run("systemctl", "daemon-reload")
    assert node.machine.attempt("systemctl", "restart", INSTALLER).returncode != 0
    node.journal.wait_for("Stopped mcd-rt.service")
    node.journal.wait_for("waiting: config-missing")
    assert node.machine.run("cat", LABEL).rstrip().endswith(FIRST)
