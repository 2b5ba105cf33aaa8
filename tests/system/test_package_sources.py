"""Wheel and sdist are the same bytes whoever builds them, install by hash alone, and make an ordinary RPM."""

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from mcd_rt import __version__
from tests.system.package import TOP, why_no_packages

pytestmark = pytest.mark.skipif(bool(why_no_packages()), reason=why_no_packages())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as it is now: it may be edited meanwhile."""
    ignored = shutil.ignore_patterns(".git", ".tox", ".venv", "dist", "build", "__pycache__", ".*_cache", ".hypothesis")
    return shutil.copytree(TOP, tmp_path_factory.mktemp("source") / "mcd-rt", ignore=ignored)


def build(source: Path, place: Path) -> dict[str, bytes]:
    order = [sys.executable, "-m", "build", "--outdir", str(place), str(source)]
    subprocess.run(order, check=True, capture_output=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1704067200"})
    return {file.name: file.read_bytes() for file in place.iterdir()}


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    assert set(build(source, place)) == {f"mcd_rt-{__version__}-py3-none-any.whl", f"mcd_rt-{__version__}.tar.gz"}
    return place


def test_built_twice_they_are_the_same(source, built, tmp_path):
    assert build(source, tmp_path) == {file.name: file.read_bytes() for file in built.iterdir()}


def test_they_install_by_the_hashes_alone_and_run(built, tmp_path):
    venv.create(tmp_path / "v", with_pip=True)
    pip = [str(tmp_path / "v/bin/pip"), "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "-r", str(TOP / "packaging/requirements.txt")], check=True)
    subprocess.run([*pip, str(next(built.glob("*.whl")))], check=True)
    subprocess.run([str(tmp_path / "v/bin/pip"), "check"], check=True)
    said = subprocess.run([str(tmp_path / "v/bin/mcd-rt"), "--version"], check=True, capture_output=True, text=True)
    assert said.stdout == f"mcd-rt {__version__}\n"


def test_a_changed_library_is_refused(tmp_path):
    lines = (TOP / "packaging/requirements.txt").read_text().split("tenacity==")[1].splitlines()
    version = lines[0].split()[0]
    (tmp_path / "wrong.txt").write_text(f"tenacity=={version} --hash=sha256:{'0' * 64}\n")
    order = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(tmp_path), "--require-hashes"]
    done = subprocess.run([*order, "-r", str(tmp_path / "wrong.txt")], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


def test_the_lock_is_of_exactly_what_the_project_asks_for():
    asked = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = [
        line.partition("==")[0]
        for line in (TOP / "packaging/requirements.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    ]
    assert {text.partition("=")[0].partition(">")[0] for text in asked} <= set(locked)


TOOLCHAIN = """\
Name: toolchain
Version: 1
Release: 1
Summary: What the spec asks for, and nothing else
License: Apache-2.0
BuildArch: noarch
{provides}
%description
.
%files
"""


def rpmbuild(place: Path, spec: Path, **defines: str) -> subprocess.CompletedProcess[str]:
    """With a database of its own, in which nothing is installed but what is put there."""
    defines |= {"_topdir": str(place), "_dbpath": str(place / "db")}
    words = [word for key, value in defines.items() for word in ("-D", f"{key} {value}")]
    return subprocess.run(
        ["rpmbuild", "-bb", "--quiet", *words, str(spec)], capture_output=True, text=True, check=False
    )


def provide(place: Path, needed: list[str]) -> None:
    """Install a package that stands for what the build needs, by name."""
    spec = place / "toolchain.spec"
    provides = "\n".join(f"Provides: {name.replace('>=', '=')}" for name in needed)
    spec.write_text(TOOLCHAIN.format(provides=provides))
    assert rpmbuild(place, spec).returncode == 0
    [made] = place.rglob("toolchain-*.rpm")
    order = ["rpm", "--force-debian", "--dbpath", str(place / "db"), "--justdb", "--nosignature", "-i", str(made)]
    subprocess.run(order, check=True, capture_output=True)
    made.unlink()


def test_the_ordinary_package_builds_from_the_sdist_by_what_it_says_it_needs_and_asks_for_python(built, tmp_path):
    (tmp_path / "SOURCES").mkdir()
    archive = next(built.glob("*.tar.gz"))
    (tmp_path / "SOURCES" / archive.name).write_bytes(archive.read_bytes())
    spec = TOP / "packaging/rpm/mcd-rt.spec"
    venv.create(tmp_path / "v", with_pip=True)
    python = str(tmp_path / "v/bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", "hatchling"], check=True)
    defines = {"python3": python, "python3_sitelib": "/usr/lib/python3.11/site-packages"}

    listed = subprocess.run(["rpmspec", "-q", "--buildrequires", str(spec)], check=True, capture_output=True, text=True)
    needed = listed.stdout.splitlines()
    assert sorted(needed) == ["python3 >= 3.11", "python3dist(hatchling)", "python3dist(pip)"]
    refused = rpmbuild(tmp_path, spec, **defines)
    assert refused.returncode != 0
    assert [name for name in needed if f"{name} is needed by mcd-rt" not in refused.stderr] == []
    provide(tmp_path, needed)
    done = rpmbuild(tmp_path, spec, **defines)
    assert done.returncode == 0, done.stderr
    rpms = {rpm.name.rpartition("-" + __version__)[0]: rpm for rpm in tmp_path.rglob("*.rpm")}
    assert set(rpms) == {"mcd-rt", "mcd-rt-simulator", "mcd-rt-greenboot"}
    listed = subprocess.run(
        ["rpm", "-qpl", "--requires", str(rpms["mcd-rt"])], check=True, capture_output=True, text=True
    )
    lines = listed.stdout.splitlines()
    for wanted in (
        "/usr/bin/mcd-rt",
        "/usr/lib/systemd/system/mcd-rt.service",
        "/usr/lib/python3.11/site-packages/mcd_rt/agent.py",
    ):
        assert wanted in lines
    assert "python3 >= 3.11" in lines
    assert not [line for line in lines if "/mcd_rt/sim/" in line or "/usr/libexec" in line]
