"""The self-contained package runs on a host that has a shell, a message bus and no Python, as old as EL8."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcd_rt import __version__
from tests.system.package import TOP, install, make_root, needed_of_the_host, packages, run_in, unpack, why_no_packages

pytestmark = pytest.mark.skipif(bool(why_no_packages()), reason=why_no_packages())
OLDEST_GLIBC = (2, 28)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root without Python, with all our packages."""
    root = tmp_path_factory.mktemp("host")
    make_root(root)
    assert not list(root.rglob("*python*"))
    install(root, packages())
    return root


def elf_files(root: Path) -> list[Path]:
    found = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.read_bytes()[:4] == b"\x7fELF"]


def test_no_file_needs_a_newer_c_library_than_the_oldest_host_has(tmp_path):
    unpack(packages(), tmp_path)
    files = elf_files(tmp_path)
    assert len(files) >= 4  # the interpreter, and the three libraries that are not Python
    for file in files:
        said = subprocess.run(
            ["readelf", "--version-info", "--dynamic", str(file)], capture_output=True, text=True, check=True
        )
        versions = {tuple(map(int, found)) for found in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", said.stdout)}
        assert versions, file
        assert max(versions) <= OLDEST_GLIBC, file
        libraries = set(re.findall(r"\(NEEDED\).*\[(.*)\]", said.stdout))
        system = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "librt.so.1"}
        assert libraries <= system | {"libgcc_s.so.1", "ld-linux-x86-64.so.2"}, file


def test_it_asks_the_host_for_next_to_nothing():
    asked = {requirement for rpm in packages() for requirement in needed_of_the_host(rpm)}
    assert not [requirement for requirement in asked if "python" in requirement]
    assert {"libc.so.6(GLIBC_2.28)(64bit)", "libgcc_s.so.1()(64bit)", "/bin/sh", "/usr/bin/dbus-daemon"} <= asked


def test_the_demo_goes_well_on_a_host_without_python(host):
    done = run_in(host, "/usr/bin/mcd-rt", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "default -> realtime  1 assembly, 1 reboot" in done.stdout


def test_nothing_of_the_environment_or_the_directory_reaches_the_interpreter(host):
    (host / "tmp/mcd_rt.py").write_text("raise SystemExit('not me')")
    (host / "tmp/yaml.py").write_text("raise SystemExit('not me')")
    foreign = {"PYTHONPATH": "/tmp", "PYTHONHOME": "/tmp", "PYTHONSTARTUP": "/tmp/yaml.py", "PYTHONINSPECT": "1"}
    script = "cd /tmp && exec /usr/libexec/mcd-rt/python -m mcd_rt --version"
    for command in (("/usr/bin/mcd-rt", "--version"), ("/bin/sh", "-c", script)):
        done = run_in(host, *command, **foreign)
        assert (done.returncode, done.stdout) == (0, f"mcd-rt {__version__}\n"), done.stderr


def test_metrics_and_every_verb_load(host):
    assert run_in(host, "/usr/libexec/mcd-rt/python", "-c", "import mcd_rt.report.collector").stderr == ""
    listed = run_in(host, "/usr/bin/mcd-rt", "--help")
    assert listed.returncode == 0
    assert "check-image" in listed.stdout
    assert "demo" in listed.stdout


def test_nothing_is_compiled_on_the_host(host):
    """ostree gives every file the same time: bytecode that looked at it would be made anew at each start."""
    cached = list((host / "usr/lib/mcd-rt/python").rglob("*.pyc"))
    sources = list((host / "usr/lib/mcd-rt/python").rglob("*.py"))
    assert len(cached) == len(sources)
    assert {path.read_bytes()[4:8] for path in cached} == {b"\x01\0\0\0"}  # by hash, never compared (PEP 552)


def test_every_file_for_hosts_is_in_a_package(host):
    for place, folder in (
        ("systemd", "usr/lib/systemd/system"),
        ("packaging/sysusers", "usr/lib/sysusers.d"),
        ("packaging/tmpfiles", "usr/lib/tmpfiles.d"),
        ("packaging/polkit", "usr/share/polkit-1/rules.d"),
        ("packaging/sysctl.d", "usr/lib/mcd-rt/sysctl.d"),
        ("packaging/greenboot/required.d", "usr/lib/greenboot/check/required.d"),
        ("packaging/manifests", "usr/share/mcd-rt/manifests"),
        ("packaging/monitoring", "usr/share/mcd-rt/monitoring"),
    ):
        files = [file for file in (TOP / place).rglob("*") if file.is_file()]
        for file in files:
            assert (host / folder / file.relative_to(TOP / place)).read_bytes() == file.read_bytes()


def test_without_the_simulator_the_other_verbs_work_and_say_what_there_is(tmp_path):
    make_root(tmp_path)
    install(tmp_path, [rpm for rpm in packages() if re.match(r"mcd-rt-\d", rpm.name)])
    listed = run_in(tmp_path, "/usr/bin/mcd-rt", "--help")
    assert listed.returncode == 0, listed.stderr
    assert "demo" not in listed.stdout
    assert run_in(tmp_path, "/usr/bin/mcd-rt", "demo").returncode == 64
    assert run_in(tmp_path, "/usr/bin/mcd-rt", "settings").returncode == 0


def test_removing_the_packages_leaves_what_the_node_remembers_and_nothing_else(tmp_path):
    make_root(tmp_path)
    install(tmp_path, packages())
    record = tmp_path / "var/lib/mcd-rt/record.json"
    config = tmp_path / "etc/mcd-rt/machineconfig.d/mine.yaml"
    for file in (record, config):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("kept")
    order = ["rpm", "--root", str(tmp_path), "-e", "mcd-rt", "mcd-rt-simulator", "mcd-rt-greenboot"]
    subprocess.run(order, check=True, capture_output=True)
    left = [path for path in tmp_path.rglob("*mcd*") if "var/lib/rpm" not in str(path)]
    assert sorted(left) == sorted([config.parents[1], record.parent])
    assert (record.read_text(), config.read_text()) == ("kept", "kept")


def test_rpmlint_finds_nothing_that_is_not_explained():
    config = TOP / "packaging/rpm/rpmlint.toml"
    done = subprocess.run(
        ["rpmlint", "-c", str(config), *map(str, packages())], capture_output=True, text=True, check=False
    )
    assert re.search(r"\b0 errors, 0 warnings\b", done.stdout), done.stdout
