"""A rebase out of an image's own repository: what is read of the directory, and what is deployed of it."""

import asyncio
import os
from pathlib import Path

import pytest

from mcd_rt.dbus.wire import Typed, Value
from mcd_rt.sim.bases import Release, base_of, pivot_origin
from mcd_rt.sim.localrepo import imported_commit
from mcd_rt.sim.neighbours import McdUpdate, NeighbourFailed, mcd_stages, open_client
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.request import Update, check_arguments
from mcd_rt.sim.steps import Refused

OLD, NEW = base_of(Release.EL8), base_of(Release.EL9)
IMAGE = f"registry.example/machine-os-content@{NEW.image_digest}"


def repository(place: Path, *commits: str) -> Path:
    for commit in commits:
        objects = place / "objects" / commit[:2]
        objects.mkdir(parents=True)
        (objects / f"{commit[2:]}.commit").write_bytes(b"commit")
    (place / "objects").mkdir(parents=True, exist_ok=True)
    (place / "config").write_text("[core]\nrepo_version=1\nmode=archive-z2\n")
    return place


def resolved(place: Path, revision: str) -> str:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        return imported_commit(descriptor, revision)
    finally:
        os.close(descriptor)


def test_a_commit_is_found_by_its_checksum_or_by_a_branch(tmp_path: Path) -> None:
    place = repository(tmp_path / "repo", NEW.checksum)
    heads = place / "refs/heads/rhcos"
    heads.mkdir(parents=True)
    (heads / "stable").write_text(f"{NEW.checksum}\n")
    for revision in (NEW.checksum, f":{NEW.checksum}", "rhcos/stable"):
        assert resolved(place, revision) == NEW.checksum


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    place = repository(tmp_path / "repo", NEW.checksum)
    with pytest.raises(Refused) as refused:
        resolved(place, OLD.checksum)
    missing = f"Pulling commit {OLD.checksum} from local repo: No such metadata object {OLD.checksum}.commit"
    assert str(refused.value) == missing
    with pytest.raises(Refused, match="Refspec 'nope' not found"):
        resolved(place, "nope")


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(Refused, match=r"Failed to open local repo: .*Not a directory"):
        resolved(file, NEW.checksum)
    for needed in ("objects", "config"):
        place = repository(tmp_path / f"without-{needed}")
        (place / needed).rename(tmp_path / f"gone-{needed}")
        with pytest.raises(Refused, match=f"Failed to open local repo: .*{needed}.*No such file"):
            resolved(place, NEW.checksum)


@pytest.mark.parametrize(("update", "text"), [
    (Update(repository_handle=0), "Missing ref for transient local rebases"),
    (
        Update(refspec="x", revision="y", repository_handle=0),
        "Revision overrides for transient local rebases not implemented yet",
    ),
])  # fmt: skip
def test_what_contradicts_a_rebase_out_of_a_repository(update: Update, text: str) -> None:
    with pytest.raises(Refused) as refused:
        check_arguments(update, 1)
    assert str(refused.value) == text


@pytest.mark.parametrize("profile", ["2019.6", "2020.8", "2024.9"])
def test_its_commit_is_deployed_with_the_origin_that_was_asked_for(tmp_path: Path, profile: str) -> None:
    async def story() -> None:
        async with SimulatedNode((OLD, NEW), profile=profile) as node:
            await mcd_stages(node, McdUpdate(IMAGE, repository(tmp_path / "repo", NEW.checksum), NEW.checksum))
            staged = node.deployments[0]
            assert (staged.staged, staged.tree.base, staged.tree.origin.refspec) == (True, NEW, NEW.checksum)
            assert staged.tree.origin.custom == pivot_origin(IMAGE)
            request = node.transactions[-1].request
            assert request.modifiers == {"set-refspec": NEW.checksum, "ex-local-repo-remote": 0}
            assert (request.options["custom-origin"], request.descriptors) == ([*pivot_origin(IMAGE)], 1)

    asyncio.run(story())


def test_a_repository_that_lacks_the_commit_stages_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with SimulatedNode((OLD, NEW), profile="2020.8") as node:
            with pytest.raises(NeighbourFailed, match="No such metadata object"):
                await mcd_stages(node, McdUpdate(IMAGE, repository(tmp_path / "repo"), NEW.checksum))
            assert (len(node.deployments), node.assemblies) == (1, 0)

    asyncio.run(story())


def test_a_handle_without_a_descriptor_aborts_the_daemon(tmp_path: Path) -> None:
    async def story() -> None:
        async with SimulatedNode((OLD, NEW), profile="2020.8") as node, open_client(node) as client:
            modifiers: Value = {"set-refspec": Typed("s", NEW.checksum), "ex-local-repo-remote": Typed("h", 7)}
            descriptor = os.open(repository(tmp_path / "repo", NEW.checksum), os.O_RDONLY)
            try:
                with pytest.raises(NeighbourFailed, match="Lost"):
                    await client.run("UpdateDeployment", "a{sv}a{sv}", modifiers, {}, descriptors=(descriptor,))
            finally:
                os.close(descriptor)
            assert len(node.deployments) == 1

    asyncio.run(story())
