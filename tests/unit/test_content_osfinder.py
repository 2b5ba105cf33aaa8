"""The OS of an image is found by its checksum, wherever it is; what the image does not say is not guessed."""

import hashlib
import io
from collections.abc import Mapping

import pytest

from mcd_rt.content import osfinder
from mcd_rt.content.blob import Descriptor
from mcd_rt.content.osfinder import Found, Search, kernels_of, search_for
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm
from mcd_rt.sim.image import Directory, Entry, HardLink, Opaque, SymbolicLink, Whiteout, _archive
from mcd_rt.sim.ostree import build_os

KERNEL = "kernel-core-5.14.0-284.el9.x86_64"
CORE = Nevra("kernel-core", 0, "5.14.0", "284.el9", "x86_64")
UNAME = "5.14.0-284.el9.x86_64"
LISTED = build_os("416.94", (KERNEL, "bash-5.1-1.el9.x86_64"), UNAME)
BARE = build_os("416.94", (), UNAME, listed=False)
OTHER = build_os("417.94", (KERNEL,), UNAME)
LIST = f"bash-5.1-1.el9.x86_64\n{KERNEL}\n\nkernel-rt-core-1-1.x86_64.rpm\n".encode()


def name(system: object, place: str = "srv/repo") -> str:
    return f"{place}/objects/{system.checksum[:2]}/{system.checksum[2:]}.commit"


def ref(system: object, branch: str = "rhcos") -> dict[str, Entry]:
    return {f"srv/repo/refs/heads/{branch}": f"{system.checksum}\n".encode()}


def read(search: Search, *layers: Mapping[str, Entry]) -> Search:
    for entries in layers:
        data = _archive(entries)
        blob = Descriptor("", f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
        search.read_layer(io.BytesIO(data), blob, lambda _taken: None)
        if search.found is not None:
            break
    return search


def refused(code: Code, message: str, label: str, *layers: Mapping[str, Entry]) -> None:
    with pytest.raises(AgentError) as caught:
        read(search_for(label, 0), *layers).end()
    assert message in caught.value.failure.message
    assert (caught.value.failure.code, bool(caught.value.failure.hint)) == (code, True)


@pytest.mark.parametrize(
    ("place", "form"), [("srv/repo", OsForm.REPOSITORY), ("sysroot/ostree/repo", OsForm.CONTAINER)]
)
def test_a_labelled_commit_that_lists_its_packages_ends_the_search(place, form):
    search = read(search_for(LISTED.checksum, 0), {name(LISTED, place): LISTED.commit, "late": b"x" * 2_000_000})
    assert search.found is not None
    assert (search.found.form, search.found.commit.checksum, search.found.kernels) == (form, LISTED.checksum, (CORE,))


def test_the_rest_of_the_layer_is_not_even_read():
    data = _archive({name(LISTED): LISTED.commit, "late": b"x" * 5_000_000})
    taken: list[int] = []
    blob = Descriptor("", f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    search_for(LISTED.checksum, 0).read_layer(io.BytesIO(data), blob, taken.append)
    assert sum(taken) < 2_000_000


@pytest.mark.parametrize("label", [BARE.checksum, ""])
def test_a_commit_without_a_list_has_it_from_the_file_beside_it(label):
    layers = ({name(BARE): BARE.commit, **ref(BARE)}, {"pkglist.txt": LIST})
    assert read(search_for(label, 0), *layers).end() == Found(
        OsForm.REPOSITORY, osfinder.read_commit(BARE.commit, BARE.checksum), (CORE,)
    )


def test_without_a_label_the_only_branch_says_which_commit():
    search = read(search_for("", 0), {name(LISTED): LISTED.commit, name(OTHER): OTHER.commit}, ref(OTHER))
    assert search.end().commit.version == "417.94"


def test_a_list_that_a_newer_layer_replaces_or_hides_does_not_count():
    commit = {name(BARE): BARE.commit}
    old, new = {"pkglist.txt": b"kernel-1-1.x86_64\n"}, {"pkglist.txt": LIST}
    assert read(search_for(BARE.checksum, 0), commit, old, new).end().kernels == (CORE,)
    missing = "does not list its packages, nor does a pkglist.txt beside it"
    for hiding in ({"pkglist.txt": Whiteout()}, {"": Opaque()}):
        assert read(search_for(BARE.checksum, 0), old, hiding, commit, new).end().kernels == (CORE,)
    refused(Code.OS_IMAGE_UNSUPPORTED, missing, BARE.checksum, commit, new, {"pkglist.txt": Whiteout()})


def test_what_stands_beside_a_whiteout_in_its_layer_stays():
    layer = {"": Opaque(), "pkglist.txt": LIST, name(BARE): BARE.commit}
    assert read(search_for(BARE.checksum, 0), layer).end().kernels == (CORE,)


def test_a_repository_that_a_newer_layer_replaces_is_the_newer_one():
    older, newer = {name(LISTED): LISTED.commit, **ref(LISTED)}, {"srv/repo": Opaque(), name(OTHER): OTHER.commit}
    assert read(search_for("", 0), older, {**newer, **ref(OTHER, "x")}).end().commit.checksum == OTHER.checksum


REFUSED = [
    ("an image of something else", Code.OS_IMAGE_UNSUPPORTED, "not one of an OS", "", [{"etc/passwd": b"x"}]),
    ("no list", Code.OS_IMAGE_UNSUPPORTED, "does not list its packages", BARE.checksum, [{name(BARE): BARE.commit}]),
    (
        "the commit of the label is elsewhere",
        Code.IMAGE_UNREADABLE,
        "in none of its layers",
        LISTED.checksum,
        [{name(OTHER): OTHER.commit}],
    ),
    (
        "another commit under the name",
        Code.IMAGE_DIGEST_MISMATCH,
        "has the checksum",
        LISTED.checksum,
        [{name(LISTED): OTHER.commit}],
    ),
    ("no branch", Code.IMAGE_UNREADABLE, "has 0 branches", "", [{name(LISTED): LISTED.commit}]),
    (
        "two branches",
        Code.IMAGE_UNREADABLE,
        "has 2 branches, expected one",
        "",
        [{name(LISTED): LISTED.commit, **ref(LISTED), **ref(LISTED, "b")}],
    ),
    (
        "a branch that is no checksum",
        Code.IMAGE_UNREADABLE,
        "is not a checksum",
        "",
        [{name(LISTED): LISTED.commit, "srv/repo/refs/heads/a": b"../etc"}],
    ),
    ("a branch of nothing", Code.IMAGE_UNREADABLE, "has no commit", "", [ref(LISTED)]),
    (
        "a branch too long",
        Code.IMAGE_TOO_LARGE,
        "has more than 65 bytes",
        "",
        [{"srv/repo/refs/heads/a": b"a" * 66}],
    ),
    (
        "a commit that is a link",
        Code.IMAGE_UNSAFE,
        "is a symbolic link, expected a file",
        LISTED.checksum,
        [{name(LISTED): SymbolicLink("/etc/shadow")}],
    ),
    (
        "a commit that is a hard link",
        Code.IMAGE_UNSAFE,
        "is a hard link, expected a file",
        LISTED.checksum,
        [{"x": b"x", name(LISTED): HardLink("x")}],
    ),
    ("a list that is none", Code.IMAGE_UNREADABLE, "no package", BARE.checksum, [
        {name(BARE): BARE.commit, "pkglist.txt": b"kernel\n"}
    ]),
    ("a whiteout of nothing", Code.IMAGE_UNSAFE, "is not the whiteout", "", [{"srv/.wh.": b""}]),
    ("a member that leads out", Code.IMAGE_UNSAFE, "leads out of the image", "", [{"srv/../../x": b""}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "message", "label", "layers"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_cannot_be_an_os_is_refused_with_its_reason(code, message, label, layers):
    refused(code, message, label, *layers)


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(osfinder, "MAX_KEPT", len(LISTED.commit) + 10)
    layer = {name(LISTED): LISTED.commit, name(OTHER): OTHER.commit}
    refused(Code.IMAGE_TOO_LARGE, "or all of its kind more than", "", layer)


def test_a_directory_of_the_name_is_passed_over():
    assert read(search_for(BARE.checksum, 0), {"pkglist.txt": Directory()}, {name(BARE): BARE.commit}).found is None


def test_layers_on_top_of_the_os_are_not_guessed_about():
    with pytest.raises(AgentError, match="2 layers of the image were put on top of its OS") as caught:
        search_for(LISTED.checksum, 2)
    assert caught.value.failure.code is Code.OS_IMAGE_UNSUPPORTED
    assert "kernel-only" in caught.value.failure.hint


def test_a_label_that_is_no_checksum_names_nothing():
    with pytest.raises(AgentError, match="'latest' as its commit") as caught:
        search_for("latest", 0)
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_a_damaged_layer_is_told_before_what_is_wrong_in_it():
    data = _archive({"srv/../../x": b""})
    blob = Descriptor("", "sha256:" + "0" * 64, len(data))
    with pytest.raises(AgentError) as caught:
        search_for("", 0).read_layer(io.BytesIO(data), blob, lambda _taken: None)
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH


@pytest.mark.parametrize("epoch", ["4294967296", "9" * 30, "٣" * 12])
def test_an_epoch_no_package_has_is_refused(epoch):
    with pytest.raises(AgentError, match="no package: epoch") as caught:
        kernels_of(f"kernel-{epoch}:1-1.x86_64".encode())
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE
