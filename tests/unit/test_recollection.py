"""What was seen holds until a file says that it may not."""

import os

import pytest

from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.deployment import Deployments
from mcd_rt.observed.recollection import Recollection, deployments_identity
from tests.unit.nodes import on_default

SEEN = Deployments((on_default(),))


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "ostree" / "deploy").mkdir(parents=True)
    (tmp_path / "run" / "ostree").mkdir(parents=True)
    return HostPaths(tmp_path)


def touch(path):
    path.touch()
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


def test_what_was_seen_is_recalled_while_nothing_changes(paths):
    seen = Recollection()
    identity = deployments_identity(paths, "boot")
    assert seen.recall(identity) is None
    seen.keep(identity, SEEN)
    assert seen.recall(deployments_identity(paths, "boot")) is SEEN


@pytest.mark.parametrize(
    "change",
    [
        lambda root: touch(root / "ostree" / "deploy"),
        lambda root: (root / "run" / "ostree" / "staged-deployment").write_text("staged"),
        lambda root: (root / "run" / "ostree" / "staged-deployment-locked").touch(),
    ],
    ids=["deployed", "staged", "locked"],
)
def test_any_change_to_the_deployments_ends_it(paths, change):
    seen = Recollection()
    seen.keep(deployments_identity(paths, "boot"), SEEN)
    change(paths.root)
    assert seen.recall(deployments_identity(paths, "boot")) is None


def test_another_boot_ends_it(paths):
    seen = Recollection()
    seen.keep(deployments_identity(paths, "boot"), SEEN)
    assert seen.recall(deployments_identity(paths, "another")) is None


def test_a_host_that_does_not_show_its_changes_is_asked_every_time(tmp_path):
    identity = deployments_identity(HostPaths(tmp_path), "boot")
    seen = Recollection()
    seen.keep(identity, SEEN)
    assert seen.recall(identity) is None
