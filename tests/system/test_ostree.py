"""The real ostree and we read each other: its commits are ours to read, repositories we hand over are its to pull."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from mcd_rt.content.commit import read_commit
from mcd_rt.content.osentry import open_repository, repository_of
from mcd_rt.content.osimage import fetch_os
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.image import Layer, write_layout
from mcd_rt.sim.osimages import write_machine_os_content
from mcd_rt.sim.ostree import build_os

BRANCH = "rhcos/x86_64"
UNAME = "5.14.0-284.el9.x86_64"
KERNELS = (
    Nevra("kernel-core", 0, "5.14.0", "284.el9", "x86_64"),
    Nevra("kernel-tools", 1, "5.14.0", "284.el9", "x86_64"),
)
SIMULATED = build_os("416.94", tuple(map(str, KERNELS)), UNAME, files={f"f{n}": b"%d" % n for n in range(50)})


def ostree(repository: Path, *words: str) -> str:
    words = (f"--repo={repository}", *words)
    return subprocess.run(["ostree", *words], check=True, capture_output=True, text=True).stdout.strip()


def committed(place: Path, *words: str, mode: str = "archive", packages: Sequence[Nevra] = KERNELS) -> tuple[Path, str]:
    """A repository made by the real tool, and the checksum of the commit in it."""
    tree, repository = place / "tree", place / "repo"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/sh").write_bytes(b"#!" * 500_000)
    (tree / "usr/bin/link").symlink_to("sh")
    for number in range(100):
        (tree / f"usr/f{number}").write_text(str(number))
    ostree(repository, "init", f"--mode={mode}")
    rows = [(nevra.name, str(nevra.epoch), nevra.version, nevra.release, nevra.architecture) for nevra in packages]
    metadata = [f"--add-metadata=rpmostree.rpmdb.pkglist=@a(sssss) {rows}"] if rows else []
    texts = [f"--add-metadata-string={key}={value}" for key, value in (("version", "416.94"), ("ostree.linux", UNAME))]
    told = ("--add-metadata=ostree.bootable=true", "--add-metadata=x.number=uint64 5", *texts, *metadata)
    return repository, ostree(
        repository, "commit", "--fsync=false", f"--branch={BRANCH}", f"--tree=dir={tree}", *told, *words
    )


def image_of(place: Path, repository: Path, **labels: str) -> ImageReference:
    entries = {f"srv/repo/{path.relative_to(repository)}": path.read_bytes() for path in sorted(files_of(repository))}
    labels = {key.replace("__", ".").replace("_", "-"): value for key, value in labels.items()}
    return write_layout(place / "layout", [Layer(entries)], tag="x", architecture="x86_64", labels=labels)


def files_of(repository: Path) -> list[Path]:
    return [path for path in repository.rglob("*") if path.is_file() and not path.is_symlink()]


def read(paths: HostPaths, image: ImageReference) -> OsImage:
    return asyncio.run(fetch_os(HostEffects(), ContentSettings(), paths, image, (), architecture="x86_64")).os


def fetch(paths: HostPaths, image: ImageReference) -> Path:
    read(paths, image)
    return repository_of(paths, image.digest)


def test_a_commit_of_the_real_tool_is_read(tmp_path):
    repository, checksum = committed(tmp_path)
    found = read_commit((repository / f"objects/{checksum[:2]}/{checksum[2:]}.commit").read_bytes(), checksum)
    assert (found.version, found.kernel_release, found.kernels) == ("416.94", UNAME, KERNELS)


def test_a_commit_with_thousands_of_packages_is_read(tmp_path):
    many = [Nevra(f"package-{number}", 0, "1", "1", "noarch") for number in range(2000)]
    repository, checksum = committed(tmp_path, packages=[*many, *KERNELS])
    found = read_commit((repository / f"objects/{checksum[:2]}/{checksum[2:]}.commit").read_bytes(), checksum)
    assert found.kernels == KERNELS


@pytest.mark.parametrize("labelled", [True, False])
def test_a_repository_of_the_real_tool_goes_through_an_image_and_is_pulled(tmp_path, labelled):
    repository, checksum = committed(tmp_path)
    labels = {"com__coreos__ostree_commit": checksum} if labelled else {}
    image, paths = image_of(tmp_path, repository, **labels), HostPaths(tmp_path / "host")
    found = read(paths, image)
    assert (found.form, found.commit, found.packages) == (OsForm.REPOSITORY, checksum, KERNELS)
    place = repository_of(paths, image.digest)
    assert ostree(place, "rev-parse", BRANCH) == checksum
    ostree(place, "fsck")
    pull(tmp_path / "sysroot", place, checksum)
    assert ostree(tmp_path / "sysroot", "cat", checksum, "/usr/f7") == "7"


def pull(target: Path, source: Path, checksum: str) -> None:
    """As a host does, whose own repository keeps plain files; ``--untrusted`` has every object compared."""
    ostree(target, "init", "--mode=bare-user")
    ostree(target, "pull-local", "--untrusted", "--disable-fsync", str(source), checksum)
    ostree(target, "fsck")


def test_the_directory_that_is_handed_over_is_a_repository_by_its_descriptor(tmp_path):
    paths, image = HostPaths(tmp_path / "host"), write_machine_os_content(tmp_path / "layout", SIMULATED, {})
    fetch(paths, image)
    with open_repository(HostEffects(), paths, image.digest) as descriptor:
        listed = subprocess.run(
            ["ostree", f"--repo=/proc/self/fd/{descriptor}", "refs"],
            check=True,
            capture_output=True,
            text=True,
            pass_fds=(descriptor,),
        )
    assert listed.stdout.split() == [BRANCH]


def test_the_simulated_repository_is_one(tmp_path):
    repository = tmp_path / "repo"
    (repository / "refs/remotes").mkdir(parents=True)  # which init makes, and fsck wants
    for name, data in SIMULATED.repository(BRANCH).items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(data)
    shown = ostree(repository, "show", BRANCH)
    assert f"commit {SIMULATED.checksum}" in shown
    assert "416.94" in shown
    key = "--print-metadata-key=rpmostree.rpmdb.pkglist"
    assert "('kernel-tools', '1', '5.14.0', '284.el9', 'x86_64')" in ostree(repository, "show", key, BRANCH)
    assert SIMULATED.checksum in ostree(repository, "log", BRANCH)
    ostree(repository, "fsck")
    pull(tmp_path / "sysroot", repository, SIMULATED.checksum)
    assert ostree(tmp_path / "sysroot", "cat", SIMULATED.checksum, "/f49") == "49"


@pytest.mark.parametrize("mode", ["bare-user", "bare-user-only"])
def test_a_repository_of_another_mode_is_not_taken(tmp_path, mode):
    repository, checksum = committed(tmp_path, mode=mode)
    image = image_of(tmp_path, repository, com__coreos__ostree_commit=checksum)
    paths = HostPaths(tmp_path / "host")
    with pytest.raises(AgentError) as caught:
        fetch(paths, image)
    assert caught.value.failure.code is Code.OS_IMAGE_UNSUPPORTED
