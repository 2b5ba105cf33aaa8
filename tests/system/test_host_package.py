"""The package's own scripts meet systemd on a host: installed, replaced amid a change, taken back, removed."""

import json
from pathlib import Path

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host
from tests.system.host.usrlayer import REPOSITORY
from tests.system.package import packages, rebuilt

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
SHELF = "/var/lib/packages"
UNASKED = ("--nodeps", "--nosignature")
"""The database knows no package of the host, so what ours requires is not asked for."""
SLOW = "0.1 2024.9\n"
ENABLE = "systemctl enable --now mcd-rt.service mcd-rt-fetch.socket mcd-rt-inspect.socket mcd-rt-hooks.socket"
UNITS = ("mcd-rt.service", "mcd-rt-fetch.socket", "mcd-rt-inspect.socket", "mcd-rt-hooks.socket")


def is_the_agents(rpm: Path) -> bool:
    return rpm.name.startswith("mcd-rt-0") or rpm.name.startswith("mcd-rt-1")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in two releases: ``1.rpm`` and ``2.rpm``."""
    place, work = tmp_path_factory.mktemp("shelf"), tmp_path_factory.mktemp("rebuilt")
    for release, rpms in ((1, packages()), (2, rebuilt(work, 2))):
        [agent] = [rpm for rpm in rpms if is_the_agents(rpm)]
        (place / f"{release}.rpm").write_bytes(agent.read_bytes())
    return place


@pytest.fixture
def node(bare_host: Host, shelf: Path) -> Host:
    """A host without the agent, on which packages can be installed; off."""
    bare_host.machine.make_usr_writable()
    bare_host.machine.options.append(f"--bind-ro={shelf}:{SHELF}")
    return bare_host


def rpm(node: Host, *words: str) -> str:
    """What rpm does; Debian's would keep its database in root's home, which is of one deployment."""
    done = node.machine.attempt("rpm", "--dbpath=/var/lib/rpm", *words)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("rpm: ")]  # Debian's own
    assert (done.returncode, complaints) == (0, [])
    return done.stdout


def install(node: Host) -> None:
    """As docs/installing.md says."""
    rpm(node, *UNASKED, "--install", f"{SHELF}/1.rpm")
    page = (REPOSITORY / "docs/installing.md").read_text().replace("\n", " ")
    assert f"`{ENABLE}`" in page
    node.machine.run(*ENABLE.split())


def make_rules_of_others(node: Host) -> None:
    """Which are applied at the next boot, and not because our package comes."""
    for folder, rule in (("tmpfiles.d", "f /run/others"), ("sysusers.d", "u others -")):
        (node.machine.etc / folder).mkdir(exist_ok=True)
        (node.machine.etc / folder / "others.conf").write_text(f"{rule}\n")


def origin(node: Host) -> str:
    """What rpm-ostree is asked for in what is booted next."""
    return Path(f"{node.machine.sysroot.default_entry().deployment}.origin").read_text()


def units_left(node: Host) -> list[str]:
    """Files and links of units that have the agent's name; those of the harness do not count."""
    found = node.machine.run("find", "/etc/systemd", "/usr/lib/systemd", "/run/systemd", "-name", "mcd-rt*")
    return [path for path in found.splitlines() if "/mcd-rt.service.d" not in path]


def test_installed_upgraded_while_it_stages_taken_back_and_removed(node: Host):
    (node.machine.etc / "simulated-rpm-ostreed").write_text(SLOW)
    node.boot()
    assert units_left(node) == []
    make_rules_of_others(node)
    rpm(node, *UNASKED, "--install", f"{SHELF}/1.rpm")
    presets = node.machine.attempt("systemctl", "is-enabled", *UNITS).stdout.split()
    assert presets == ["disabled"] * len(UNITS)  # the host's word counts
    assert node.machine.run("id", "-un", "mcd-rt") == "mcd-rt\n"
    assert node.machine.attempt("test", "-e", "/run/others").returncode != 0
    assert node.machine.attempt("id", "others").returncode != 0
    rpm(node, "--erase", "mcd-rt")
    install(node)
    node.journal.wait_for("waiting: config-missing")
    assert node.machine.run("systemctl", "is-active", *UNITS).split() == ["active"] * len(UNITS)

    upgraded_while_it_stages(node)
    taken_back_onto_a_newer_record(node)

    record = node.machine.run("cat", "/var/lib/mcd-rt/record.json")
    rpm(node, "--erase", "mcd-rt")
    assert units_left(node) == []
    assert node.machine.attempt("systemctl", "is-active", *UNITS).stdout.split() == ["inactive"] * len(UNITS)
    assert node.machine.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "mcd-rt*") == ""
    node.machine.run("systemctl", "reboot", "--no-block")
    node.wait_reboot()
    assert node.machine.run("cat", "/proc/sys/kernel/osrelease").rstrip().endswith("+rt")
    assert node.machine.run("cat", "/var/lib/mcd-rt/record.json") == record
    assert [line for line in node.transactions() if "UpdateDeployment" in line] == node.transactions()[:1]


def upgraded_while_it_stages(node: Host) -> None:
    """The transaction is rpm-ostreed's, which is held meanwhile; the new agent goes on from the record."""
    node.ask_for(KernelType.REALTIME)
    node.journal.wait_for("staging: ")
    node.machine.run("systemctl", "kill", "--signal=STOP", "rpm-ostreed")
    assert node.transactions() == []
    rpm(node, *UNASKED, "--upgrade", f"{SHELF}/2.rpm")
    node.machine.run("systemctl", "kill", "--signal=CONT", "rpm-ostreed")
    node.wait_reboot()
    node.journal.wait_for(STEADY_REALTIME)
    begun = node.machine.run("journalctl", "--unit=mcd-rt.service", "--grep=^Started mcd-rt.service", "--output=cat")
    assert len(begun.splitlines()) == 3  # as it was installed, as it was replaced, in the second boot
    told = [line.split()[1] for line in node.transactions()]
    assert told == ["UpdateDeployment", "FinalizeDeployment"]
    assert rpm(node, "--query", "mcd-rt").startswith("mcd-rt-0.1.0-2.")
    assert node.show("NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}


def taken_back_onto_a_newer_record(node: Host) -> None:
    record = node.machine.sysroot.var / "lib/mcd-rt/record.json"
    known = record.read_bytes()
    newer = json.dumps(json.loads(known) | {"version": 2, "invented": "later"}).encode()
    record.write_bytes(newer)
    rpm(node, *UNASKED, "--upgrade", "--oldpackage", f"{SHELF}/1.rpm")
    node.journal.wait_for("blocked: record-too-new")
    assert record.read_bytes() == newer
    record.write_bytes(known)
    rpm(node, *UNASKED, "--upgrade", f"{SHELF}/2.rpm")
    node.journal.wait_for(STEADY_REALTIME)


def test_removed_after_going_back_nothing_of_it_is_in_the_deployment(node: Host):
    node.boot()
    before = origin(node)
    install(node)
    node.ask_for(KernelType.REALTIME)
    node.wait_reboot()
    node.journal.wait_for(STEADY_REALTIME)
    assert origin(node) != before
    node.ask_for(KernelType.DEFAULT)
    node.wait_reboot()
    node.journal.wait_for(STEADY_DEFAULT)
    rpm(node, "--erase", "mcd-rt")
    node.machine.run("systemctl", "reboot", "--no-block")
    node.wait_reboot()
    assert units_left(node) == []
    assert origin(node) == before
