"""The recipes make images that serve: kernel-rt in one of the OS, the agent in one, and on a node by it."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcd_rt import __version__
from mcd_rt.sim.image import Compression, Layer, write_layout
from tests.system.conftest import LABELS, OS, Vendor, write_host
from tests.system.package import TOP, install, make_root, packages, run_in, unpack, why_no_packages
from tests.system.rpms import KERNEL_RELEASE

pytestmark = pytest.mark.skipif(bool(why_no_packages()), reason=why_no_packages())
BASE_LIST = "bash-5.1.8-9.el9.x86_64\nsystemd-252-51.el9.x86_64\n"


@dataclass(frozen=True)
class Builder:
    """buildah with a store of its own."""

    place: Path

    @property
    def options(self) -> list[str]:
        return ["--root", str(self.place / "store"), "--runroot", str(self.place / "run"), "--storage-driver", "vfs"]

    def __call__(self, *words: str) -> str:
        order = ["buildah", *self.options, *words]
        done = subprocess.run(order, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def buildah(tmp_path: Path) -> Builder:
    place = tmp_path / "buildah"
    place.mkdir()
    return Builder(place)


def checked(image: str, host: Path) -> tuple[int, dict[str, object]]:
    """What `mcd-rt check-image` says of it, as a host that trusts the vendor."""
    order = [sys.executable, "-m", "mcd_rt", "check-image", "--json", "--architecture", "x86_64", image]
    environment = os.environ | {"MCD_RT_ROOT": str(host)}
    done = subprocess.run(order, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_machine_os_content_with_kernel_rt_is_what_a_node_can_use(tmp_path, buildah, vendor: Vendor):
    host = write_host(tmp_path / "host", vendor)
    layers = [Layer({"srv/repo/objects": OS, "pkglist.txt": BASE_LIST.encode()}, Compression.GZIP)]
    base = write_layout(tmp_path / "base", layers, tag="os", architecture="x86_64", labels=LABELS)
    status, before = checked(str(base), host)
    assert (status, before["code"]) == (1, "image-without-kernel")

    made = f"oci:{tmp_path}/made:rt"
    recipe = TOP / "packaging/machine-os-content/add-kernel-rt"
    order = [str(recipe), f"oci:{base.place}:{base.tag}", made, *map(str, vendor.rpms)]
    environment = os.environ | {"BUILDAH_OPTIONS": shlex.join(buildah.options)}
    done = subprocess.run(order, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert buildah("containers", "--quiet") == ""

    [manifest] = json.loads((tmp_path / "made/index.json").read_text())["manifests"]
    status, after = checked(f"{made}@{manifest['digest']}", host)
    assert (status, after["problems"], after["kernel_release"]) == (0, [], KERNEL_RELEASE)
    assert len(after["packages"]) == len(vendor.rpms)
    assert (after["version"], after["commit"]) == (LABELS["version"], LABELS["com.coreos.ostree-commit"])

    container = buildah("from", made)
    names = (Path(buildah("mount", container)) / "pkglist.txt").read_text().splitlines()
    assert names == sorted({*BASE_LIST.split(), *(rpm.name.removesuffix(".rpm") for rpm in vendor.rpms)})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What `python packaging/selfcontained tree` lays out: the packages' files."""
    place = tmp_path / "tree"
    place.mkdir()
    unpack(packages(), place)
    return place


def test_the_agents_image_builds_on_a_base_without_python_and_runs(tmp_path, buildah, tree):
    make_root(tmp_path / "base")
    container = buildah("from", "scratch")
    buildah("copy", container, str(tmp_path / "base"), "/")
    buildah("commit", container, "base")
    containerfile = TOP / "packaging/container/Containerfile"
    isolated = ["--isolation", "chroot"]
    buildah(
        "build", *isolated, "--build-arg", "BASE=localhost/base", "-f", str(containerfile), "-t", "agent", str(tree)
    )
    config = json.loads(buildah("inspect", "--type", "image", "localhost/agent"))["OCIv1"]["config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/usr/bin/mcd-rt"], ["run"])
    made = buildah("from", "localhost/agent")
    assert run_in(Path(buildah("mount", made)), "/usr/bin/mcd-rt", "--version").stdout == f"mcd-rt {__version__}\n"
    buildah("rm", "--all")


def test_the_image_puts_the_agent_onto_a_node_with_a_usr_of_its_own(tmp_path):
    image, node = tmp_path / "image", tmp_path / "node"
    make_root(image)
    install(image, packages())
    make_root(node)
    (image / "host").mkdir()
    installer = "/usr/libexec/mcd-rt/python /usr/share/mcd-rt/install_on_host.py /host"
    script = f"mount --bind {node} {image}/host && mount -t proc proc {image}/proc && exec chroot {image} {installer}"
    for _ in range(2):  # again is an upgrade
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert run_in(node, "/usr/local/bin/mcd-rt", "--version").stdout == f"mcd-rt {__version__}\n"
    assert not [path for path in (node / "usr/local").rglob(".*") if path.name.startswith(".mcd-rt")]
    units = sorted(path.name for path in (node / "etc/systemd/system").iterdir())
    assert units == sorted(path.name for path in (TOP / "systemd").glob("mcd-rt*"))
    for unit in (node / "etc/systemd/system").iterdir():
        text = unit.read_text()
        assert "/usr/bin/mcd-rt" not in text
        assert "=/usr/local/bin/mcd-rt" in text or unit.suffix == ".socket" or "sysctl" in unit.name
    assert run_in(node, "/usr/local/bin/mcd-rt", "demo").returncode == 0


@pytest.mark.parametrize("name", ["mcd-rt.container", "mcd-rt-container.service"])
def test_both_units_of_the_container_give_it_what_the_transaction_needs(name):
    text = (TOP / "packaging/container" / name).read_text()
    words = {
        "mcd-rt.container": ("PodmanArgs=--pid=host", "Network=host", "Volume=/run:/run\n", "Volume=/:/host:ro"),
        "mcd-rt-container.service": ("--pid=host", "--network=host", "--volume=/run:/run ", "--volume=/:/host:ro"),
    }[name]
    assert [word for word in words if word not in text] == []
