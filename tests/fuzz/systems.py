"""What is read about the OS of an image: layers, by the worker; its answers, by the agent."""

import hashlib
import io
import json
import socket
from pathlib import Path

from mcd_rt.content import cache, frames
from mcd_rt.content.blob import Descriptor
from mcd_rt.content.cache import OS
from mcd_rt.content.frames import ChunkFrame, ErrorFrame, FileFrame, FilesFrame, OsRequest
from mcd_rt.content.osdelivery import deliver_os
from mcd_rt.content.osentry import has_repository, load_os_image, open_repository, repository_of
from mcd_rt.content.osfinder import search_for
from mcd_rt.content.osimage import Brought, fetch_os
from mcd_rt.content.overlay import in_place
from mcd_rt.content.repository import is_part
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.osimage import OsForm
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.image import put_blob
from mcd_rt.sim.ostree import build_os
from tests.fuzz.places import finish, fresh_directory
from tests.fuzz.talk import DIGEST, NAMES, talking_workers
from tests.fuzz.verdict import documented

SYSTEM = build_os("1", ("kernel-core-5.14.0-284.el9.x86_64",), "5.14.0-284.el9.x86_64")
"""What the seeds are made of; its commit is the one that is looked for."""

_PATIENCE = 2.0
_SETTINGS = ContentSettings(
    worker="socket", trust="digest-only", idle_timeout=_PATIENCE, fetch_timeout=_PATIENCE, max_cache_bytes=1 << 20
)
_ENDINGS = ("image-", "os-image-", "package-", "worker-", "cache-")
_MOST, _PACKAGES, _SIZE = 64, 2, 1 << 16  # what is sent must fit in the socket, which nobody reads meanwhile


def layer(data: bytes) -> None:
    """A layer in which a commit is looked for, once by its checksum and once by the only branch."""
    blob = Descriptor("", f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    for label in (SYSTEM.checksum, ""):
        with documented(("image-", "os-image-")):
            search = search_for(label, 0)
            search.read_layer(io.BytesIO(data), blob, lambda _taken: None)
            found = search.found or search.end()
            assert not label or found.commit.checksum == label


def repository(data: bytes) -> None:
    """A layer of everything: what is passed on is a part of a repository or a package, no more than was asked for."""
    with fresh_directory() as place:
        _write_image(place, data)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with documented(_ENDINGS):
                deliver_os(theirs, OsRequest(f"oci:{place}", NAMES, "x86_64", _PACKAGES, _SIZE, 4, _MOST, _SIZE))
            theirs.shutdown(socket.SHUT_WR)
            with ours.makefile("rb") as said:
                _judge(said)


def _write_image(directory: Path, data: bytes) -> None:
    blob = put_blob(directory, data)
    config = json.dumps({"architecture": "amd64", "rootfs": {"diff_ids": [blob]}}).encode()
    kinds = {"config": "config.v1+json", "layer": "layer.v1.tar", "manifest": "manifest.v1+json"}
    found = {name: f"application/vnd.oci.image.{kind}" for name, kind in kinds.items()}
    manifest = {
        "mediaType": found["manifest"],
        "config": {"mediaType": found["config"], "digest": put_blob(directory, config), "size": len(config)},
        "layers": [{"mediaType": found["layer"], "digest": blob, "size": len(data)}],
    }
    whole = json.dumps(manifest).encode()
    entry = {"mediaType": found["manifest"], "digest": put_blob(directory, whole), "size": len(whole)}
    (directory / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (directory / "index.json").write_bytes(json.dumps({"manifests": [entry]}).encode())


def _judge(said: io.BufferedIOBase) -> None:
    names: list[str] = []
    packages: list[str] = []
    size = 0
    while line := said.readline():
        match frames.decode(line):
            case FilesFrame(files) as frame:
                names += [file.file for file in files]
                size += len(said.read(frame.size))
            case FileFrame(name):
                (names if is_part(name) else packages).append(name)
            case ChunkFrame(taken):
                size += len(said.read(taken))
            case ErrorFrame(failure):
                raise AssertionError(failure)
    assert all(map(is_part, names))
    assert all(map(in_place, packages))
    assert len(set(names)) == len(names) <= _MOST
    assert len(packages) <= _PACKAGES
    assert size <= _SIZE * (1 + len(packages))


def answers(data: bytes) -> None:
    """Two hostile workers: the first says an OS and sends, the second judges; all of it is kept then, or nothing."""
    with fresh_directory() as root, documented(_ENDINGS):
        paths = HostPaths(root)
        try:
            brought = finish(_asked(paths, data))
        except AgentError:
            left = [path for path in paths.cache.rglob("*") if path != paths.cache / OS]
            assert left == []
            raise
        assert load_os_image(paths, DIGEST) == brought.os
        is_repository = brought.os.form is OsForm.REPOSITORY
        assert has_repository(paths, DIGEST) == (brought.content is not None) == is_repository
        if brought.content is not None:
            assert cache.load(paths, DIGEST, NAMES, "digest-only") == brought.content
            _judge_repository(paths)


def _judge_repository(paths: HostPaths) -> None:
    place = repository_of(paths, DIGEST)
    names = [str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir() or path.is_symlink()]
    assert all(is_part(name) for name in names if name != "config")
    try:
        with open_repository(HostEffects(), paths, DIGEST):
            pass
    except AgentError as error:
        raise AssertionError("what was fetched is not what is there") from error


async def _asked(paths: HostPaths, said: bytes) -> Brought:
    image = ImageReference("/image", "", DIGEST, layout=True)
    async with talking_workers(paths, said):
        return await fetch_os(HostEffects(), _SETTINGS, paths, image, NAMES, architecture="x86_64")
