"""The worker says which OS an image has, and passes on its repository and packages; hostile members end it."""

import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from mcd_rt.content import frames, worker
from mcd_rt.content.frames import (
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    FileFrame,
    FilesFrame,
    Frame,
    ImageFrame,
    OsFrame,
    OsRequest,
    ProgressFrame,
    Request,
)
from mcd_rt.errors import Code
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import FLAVORS
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.sim.image import (
    Compression,
    Directory,
    Entry,
    HardLink,
    Layer,
    Opaque,
    Pipe,
    SymbolicLink,
    Whiteout,
    build_rpm,
    kernel_rt_packages,
)
from mcd_rt.sim.image import write_layout as write
from mcd_rt.sim.osimages import write_container_os, write_machine_os_content
from mcd_rt.sim.ostree import build_os

KERNEL = "kernel-core-5.14.0-284.el9.x86_64"
CORE = Nevra("kernel-core", 0, "5.14.0", "284.el9", "x86_64")
SYSTEM = build_os("416.94", (KERNEL,), "5.14.0-284.el9.x86_64", files={f"f{n}": b"%d" % n for n in range(300)})
PARTS = {name: data for name, data in SYSTEM.repository().items() if name != "config"}
OBJECT = next(iter(SYSTEM.objects))
LABELS = {"com.coreos.ostree-commit": SYSTEM.checksum}
COMMIT = next(name for name in SYSTEM.objects if name.endswith(".commit"))
MINIMAL = {COMMIT: SYSTEM.commit}
CONFIG: dict[str, Entry] = {
    "srv/repo/config": b"[core]\nrepo_version=1\nmode=archive\n",
    f"srv/repo/{COMMIT}": SYSTEM.commit,
}
"""A repository in which there is nothing but what makes it one."""
RT = kernel_rt_packages("5.14.0", "284.rt14.284.el9", "x86_64", 9)
NAMES = FLAVORS[0].names


def layout(place: Path, *layers: Mapping[str, Entry]) -> ImageReference:
    return write(place, [Layer(entries) for entries in layers], tag="x", architecture="x86_64", labels=LABELS)


def wanting(
    image: ImageReference, names: tuple[str, ...] = (), *, most: int = 1000, size: int = 1 << 30, packages: int = 64
) -> OsRequest:
    return OsRequest(str(image), names, "x86_64", packages, 1 << 30, 64, most, size)


def answer(request: Request) -> tuple[list[Frame], dict[str, bytes]]:
    """What the worker says, and the files in it."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=worker.serve, args=(theirs,))
    said: list[Frame] = []
    files: dict[str, bytes] = {}
    with ours, theirs:
        thread.start()
        ours.sendall(frames.encode_request(request))
        with ours.makefile("rb") as stream:
            while not said or not isinstance(said[-1], DoneFrame | ErrorFrame):
                said.append(frame := frames.decode(stream.readline()))
                match frame:
                    case FilesFrame(announced):
                        files |= {file.file: stream.read(file.size) for file in announced}
                    case FileFrame(file):
                        current, files[file] = file, b""
                    case ChunkFrame(size):
                        files[current] += stream.read(size)
        thread.join()
    return [frame for frame in said if not isinstance(frame, ProgressFrame | ChunkFrame)], files


def refused(request: Request) -> tuple[Code, str]:
    said, _ = answer(request)
    assert isinstance(said[-1], ErrorFrame)
    assert said[-1].failure.hint
    return said[-1].failure.code, said[-1].failure.message


def os_of(image: ImageReference) -> OsImage:
    said = answer(wanting(image))[0]
    assert isinstance(said[-2], OsFrame)
    return said[-2].os


def test_an_image_that_is_its_os_sends_nothing_but_which_one(tmp_path):
    image = write_container_os(tmp_path, SYSTEM)
    said, files = answer(wanting(image, NAMES))
    assert [type(frame) for frame in said] == [ImageFrame, OsFrame, DoneFrame]
    found = said[1].os
    assert (found.digest, found.form, found.commit) == (image.digest, OsForm.CONTAINER, SYSTEM.checksum)
    assert (found.version, found.kernel_release, found.packages) == ("416.94", "5.14.0-284.el9.x86_64", (CORE,))
    assert (found.architecture, files) == ("x86_64", {})


def test_what_the_commit_does_not_say_the_image_does(tmp_path):
    system = build_os("", (KERNEL,), "")
    entries = {f"srv/repo/{name}": data for name, data in system.repository().items()}
    layers, labels = [Layer(entries)], {"com.coreos.ostree-commit": system.checksum, "version": "1.2"}
    image = write(tmp_path, layers, tag="x", architecture="x86_64", labels=labels)
    found = os_of(image)
    assert (found.version, found.kernel_release, found.architecture) == ("1.2", "", "x86_64")


def test_packages_are_sorted(tmp_path):
    system = build_os("1", ("kernel-z-1-1.x86_64", KERNEL), "1")
    found = os_of(write_container_os(tmp_path, system))
    assert [nevra.name for nevra in found.packages] == ["kernel-core", "kernel-z"]


@pytest.mark.parametrize(
    ("system", "message"),
    [
        (build_os("1", (KERNEL,), "../../etc"), "kernel_release: '../../etc' is not possible"),
        (build_os("1", [f"kernel-{n}-1-1.x86_64" for n in range(49)], "1"), "packages: 49 of kernels are more than 48"),
    ],
)
def test_what_no_os_could_say_is_the_images_fault(tmp_path, system, message):
    code, found = refused(wanting(write_container_os(tmp_path, system)))
    assert (code, message in found) == (Code.IMAGE_UNREADABLE, True)


def test_a_repository_arrives_whole_in_few_frames(tmp_path):
    image = write_machine_os_content(tmp_path, SYSTEM, {"a.rpm": b"x", "srv/repo.txt": b"x"})
    said, files = answer(wanting(image))
    assert files == PARTS
    assert len(PARTS) > 300
    assert [type(frame) for frame in said] == [ImageFrame, FilesFrame, FilesFrame, OsFrame, DoneFrame]
    assert said[-2].os.form is OsForm.REPOSITORY


def test_large_files_come_in_pieces_and_small_ones_by_what_they_are_together(tmp_path):
    sizes = {0: 10, 1: 60 << 10, 2: 600 << 10, 3: 60 << 10, 4: 60 << 10, 5: 60 << 10, 6: 60 << 10, 7: (64 << 10) + 1}
    parts = {f"objects/{n:02}/{'0' * 62}.filez": bytes([n]) * size for n, size in sizes.items()}
    said, files = answer(wanting(layout(tmp_path, CONFIG, {f"srv/repo/{n}": d for n, d in parts.items()})))
    assert files == parts | MINIMAL
    assert [type(frame) for frame in said[1:-2]] == [FileFrame, FilesFrame, FileFrame, FilesFrame]


def test_what_is_no_part_of_a_repository_stays_in_the_image(tmp_path):
    others: dict[str, Entry] = {
        "srv/repo/tmp/cache/x": b"x",
        "srv/repo/state": Directory(),
        "srv/repo/summary": b"x",
        "srv/repo/refs/remotes/a/b": b"x",
        "srv/repo/link": SymbolicLink("/etc"),
        "srv/repo/.lock": Pipe(),
        "x/srv/repo/refs/heads/a": b"x",
        "srv/www": Whiteout(),
        "s": Whiteout(),
        "dev": Pipe(),
    }
    assert answer(wanting(layout(tmp_path, CONFIG, others)))[1] == MINIMAL


def test_a_repository_may_lie_in_several_layers(tmp_path):
    first, *rest = PARTS
    layers = [Layer({f"srv/repo/{name}": PARTS[name] for name in rest}, Compression.ZSTD)]
    layers += [Layer({"srv/repo/config": CONFIG["srv/repo/config"]})]
    layers += [Layer({f"srv/repo/{first}": PARTS[first]}, Compression.NONE)]
    assert answer(wanting(write(tmp_path, layers, tag="x", architecture="x86_64")))[1] == PARTS


def test_the_only_branch_and_a_list_in_the_image_say_which_os_it_is(tmp_path):
    """What is looked at on the way is passed on all the same; the newest list is the one of the image."""
    bare = build_os("416.94", (), "5.14.0-284.el9.x86_64", listed=False)
    old, entries = {"pkglist.txt": b"kernel-1-1.x86_64\n"}, {f"srv/repo/{n}": d for n, d in bare.repository().items()}
    layers = [Layer(old), Layer(entries), Layer({"pkglist.txt": f"{KERNEL}\n".encode()})]
    said, files = answer(wanting(write(tmp_path, layers, tag="x", architecture="x86_64")))
    assert said[-2].os.packages == (CORE,)
    assert files == {name: data for name, data in bare.repository().items() if name != "config"}


@pytest.mark.parametrize("together", [True, False])
def test_packages_come_in_the_same_reading(tmp_path, together):
    parts: dict[str, Entry] = {f"srv/repo/{name}": data for name, data in SYSTEM.repository().items()}
    others: dict[str, Entry] = {"kernel.rpm": build_rpm(Nevra("kernel", 0, "1", "1", "x86_64")), **RT}
    image = layout(tmp_path, {**parts, **others}) if together else layout(tmp_path, parts, others)
    said, files = answer(wanting(image, NAMES))
    assert files == PARTS | RT
    assert isinstance(said[-2], OsFrame)


def test_packages_of_older_layers_are_not_sent_once_they_are_a_kernel(tmp_path):
    older = kernel_rt_packages("5.14.0", "200.rt14.200.el9", "x86_64", 9)
    files = answer(wanting(layout(tmp_path, {**CONFIG, **older}, dict(RT)), NAMES))[1]
    assert {name for name in files if name.endswith(".rpm")} <= RT.keys()
    hidden = answer(wanting(layout(tmp_path / "2", {**CONFIG, **RT}, dict.fromkeys(RT, Whiteout())), NAMES))[1]
    assert hidden == MINIMAL


def test_more_packages_than_were_asked_for_are_not_sent(tmp_path):
    code, message = refused(wanting(layout(tmp_path, {**CONFIG, **RT}), NAMES, packages=1))
    assert (code, "more than 1 of the packages" in message) == (Code.IMAGE_TOO_LARGE, True)


def test_an_os_that_its_labels_call_the_image_itself_may_be_a_repository(tmp_path):
    labels = {"ostree.commit": SYSTEM.checksum}
    parts = {f"srv/repo/{name}": data for name, data in SYSTEM.repository().items()}
    said, files = answer(wanting(write(tmp_path, [Layer(parts)], tag="x", architecture="x86_64", labels=labels)))
    assert (files, said[-2].os.form) == (PARTS, OsForm.REPOSITORY)


def test_an_os_that_no_label_calls_the_image_itself_may_be_it(tmp_path):
    image = layout(tmp_path, {f"sysroot/ostree/repo/{COMMIT}": SYSTEM.commit})
    assert os_of(image).form is OsForm.CONTAINER


HOSTILE: list[tuple[str, Mapping[str, Entry], Code, str]] = [
    ("an absolute path", {"/srv/repo/config": b""}, Code.IMAGE_UNSAFE, "leads out of the image"),
    ("a path that leads up", {"srv/repo/objects/../../../x": b""}, Code.IMAGE_UNSAFE, "leads out of the image"),
    ("a link for an object", {f"srv/repo/{OBJECT}": SymbolicLink("/etc/shadow")}, Code.IMAGE_UNSAFE, "symbolic link"),
    ("a hard link", {"x": b"x", f"srv/repo/{OBJECT}": HardLink("x")}, Code.IMAGE_UNSAFE, "is a hard link"),
    ("a pipe for the config", {"srv/repo/config": Pipe()}, Code.IMAGE_UNSAFE, "is a device or pipe"),
    ("a link for a branch", {"srv/repo/refs/heads/a": SymbolicLink("x")}, Code.IMAGE_UNSAFE, "is a symbolic link"),
    (
        "a name twice",
        {f"srv/repo/{OBJECT}": b"x", f"./srv//repo/{OBJECT}": b"x"},
        Code.IMAGE_UNSAFE,
        "comes twice",
    ),
    (
        "a branch below a branch",
        {"srv/repo/refs/heads/a": b"x", "srv/repo/refs/heads/a/b": b"x"},
        Code.IMAGE_UNSAFE,
        "is a file and a directory",
    ),
    ("a whiteout in it", {f"srv/repo/{OBJECT}": Whiteout()}, Code.IMAGE_UNSAFE, "hides a part of the repository"),
    ("a whiteout of it", {"srv": Whiteout()}, Code.IMAGE_UNSAFE, "hides a part of the repository"),
    ("an opaque root", {"": Opaque()}, Code.IMAGE_UNSAFE, "hides a part of the repository"),
    ("a whiteout of nothing", {"srv/.wh...": b""}, Code.IMAGE_UNSAFE, "is not the whiteout of a name"),
    ("a long branch", {"srv/repo/refs/heads/a": b"a" * 66}, Code.IMAGE_UNSAFE, "has 66 bytes, which is no branch"),
    ("an object of another mode", {f"srv/repo/objects/ab/{'0' * 62}.file": b"x"}, Code.OS_IMAGE_UNSUPPORTED, "plain"),
    (
        "a link of another mode",
        {f"srv/repo/objects/ab/{'0' * 62}.file": SymbolicLink("/etc")},
        Code.OS_IMAGE_UNSUPPORTED,
        "plain files",
    ),
    (
        "another mode",
        {"srv/repo/config": b"[core]\nrepo_version=1\nmode=bare\n"},
        Code.OS_IMAGE_UNSUPPORTED,
        "the mode 'bare'",
    ),
    ("no config at all", {"srv/repo/config": b"\xff"}, Code.OS_IMAGE_UNSUPPORTED, "can't decode"),
    ("a config without end", {"srv/repo/config": b"#" * 65537}, Code.OS_IMAGE_UNSUPPORTED, "has 65537 bytes, more"),
]


@pytest.mark.parametrize(("entries", "code", "message"), [case[1:] for case in HOSTILE], ids=[c[0] for c in HOSTILE])
def test_hostile_members_end_it(tmp_path, entries, code, message):
    found, said = refused(wanting(layout(tmp_path, CONFIG, entries)))
    assert (found, message in said) == (code, True), said


def test_a_name_in_two_layers_is_twice_too(tmp_path):
    entries = {f"srv/repo/{OBJECT}": b"x"}
    assert refused(wanting(layout(tmp_path, CONFIG, entries, entries)))[0] is Code.IMAGE_UNSAFE


@pytest.mark.parametrize(
    ("limits", "code", "message"),
    [
        ({"most": 5}, Code.IMAGE_TOO_LARGE, "the repository has more than 5 files"),
        ({"size": 500}, Code.CACHE_FULL, "the repository has more than the 500 bytes"),
    ],
)
def test_more_than_was_asked_for_is_not_sent(tmp_path, limits, code, message):
    found, said = refused(wanting(write_machine_os_content(tmp_path, SYSTEM, {}), **limits))
    assert (found, message in said) == (code, True)


def test_an_image_without_a_repository_has_none(tmp_path):
    code, said = refused(wanting(layout(tmp_path, {f"srv/repo/{COMMIT}": SYSTEM.commit})))
    assert (code, "the image has no ostree repository in /srv/repo" in said) == (Code.OS_IMAGE_UNSUPPORTED, True)


def test_an_image_whose_layer_is_another_is_not_believed(tmp_path):
    image = write_machine_os_content(tmp_path, SYSTEM, {})
    for blob in (tmp_path / "blobs/sha256").iterdir():
        if blob.stat().st_size > 10_000:
            data = blob.read_bytes()
            blob.write_bytes(data[:4] + b"\1" + data[5:])  # the time in a gzip header: what is packed is the same
    assert refused(wanting(image))[0] is Code.IMAGE_DIGEST_MISMATCH


def test_a_reference_that_is_none_is_named():
    assert refused(OsRequest("oci:", (), "x86_64", 1, 1, 1, 1, 1))[0] is Code.IMAGE_UNREADABLE
