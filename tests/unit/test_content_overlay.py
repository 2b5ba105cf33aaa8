"""Where an image offers RPMs, and which of them newer layers hide."""

import pytest

from mcd_rt.content.overlay import Layer, Opaque, Ordinary, Shadow, Whiteout, concerns, in_place, meaning

EXTENSIONS = "usr/share/rpm-ostree/extensions"


@pytest.mark.parametrize(
    "path",
    ["a.rpm", "extensions/a.rpm", "extensions/x/a.rpm", "extensions/x/y/a.rpm", f"{EXTENSIONS}/x86_64/rt/a.rpm"],
)
def test_rpms_are_looked_for_where_the_releases_have_them(path):
    assert in_place(path)
    assert concerns(path)


@pytest.mark.parametrize(
    "path",
    ["a.rpm.sig", "dir/a.rpm", "extensions/x/y/z/a.rpm", "extensionsx/a.rpm", "usr/share/a.rpm", "", ".wh.a.rpm"],
)
def test_rpms_elsewhere_are_none_of_ours(path):
    assert not in_place(path)


def test_what_lies_on_the_way_to_a_place_can_hide_it():
    assert all(concerns(path) for path in ("", "usr", "usr/share", EXTENSIONS, f"{EXTENSIONS}/x", "extensions"))
    assert not any(concerns(path) for path in ("etc", "usr/lib", "usr/share/rpm", "pkglist.txt", "use"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("extensions/.wh.a.rpm", Whiteout("extensions/a.rpm")),
        (".wh.a.rpm", Whiteout("a.rpm")),
        ("extensions/.wh..wh..opq", Opaque("extensions")),
        (".wh..wh..opq", Opaque("")),
        (".wh..wh.plnk", Ordinary(".wh..wh.plnk")),
        ("extensions/a.rpm", Ordinary("extensions/a.rpm")),
        ("extensions/.wha.rpm", Ordinary("extensions/.wha.rpm")),
    ],
)
def test_whiteouts_are_told_from_files(path, expected):
    assert meaning(path) == expected


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_the_whiteout_of_no_name_is_refused(name):
    with pytest.raises(ValueError, match="is not the whiteout of a name"):
        meaning(f"extensions/{name}")


def shadow(*files: str, directories: tuple[str, ...] = ()) -> Shadow:
    layer = Layer()
    for directory in directories:
        layer.add(directory, directory=True)
    for file in files:
        layer.add(file, directory=False)
    return layer.above(Shadow())


@pytest.mark.parametrize(
    "newer",
    [
        shadow("extensions/a.rpm"),
        shadow("extensions/.wh.a.rpm"),
        shadow("extensions/.wh..wh..opq"),
        shadow(".wh.extensions"),
        shadow(".wh..wh..opq"),
        shadow("extensions"),
        shadow(directories=("extensions/a.rpm",)),
        shadow("extensions/a.rpm/x"),
    ],
)
def test_newer_layers_hide(newer):
    assert newer.hides("extensions/a.rpm")


@pytest.mark.parametrize(
    "newer",
    [
        shadow(),
        shadow("extensions/b.rpm"),
        shadow("extensions/.wh.b.rpm"),
        shadow("extensions/x/.wh..wh..opq"),
        shadow(directories=("extensions",)),
        shadow("usr/.wh.extensions"),
        shadow("a.rpm"),
        shadow("extensions/.wh..wh.plnk"),
    ],
)
def test_newer_layers_leave_the_rest(newer):
    assert not newer.hides("extensions/a.rpm")


def test_what_two_newer_layers_hide_adds_up():
    upper = Layer()
    upper.add("extensions/.wh.a.rpm", directory=False)
    both = upper.above(shadow("b.rpm"))
    assert both.hides("extensions/a.rpm")
    assert both.hides("b.rpm")


@pytest.mark.parametrize(
    ("first", "second", "directory", "message"),
    [
        ("a.rpm", "a.rpm", False, "is there twice"),
        ("a.rpm", "a.rpm", True, "is there twice"),
        ("extensions/a.rpm", "extensions", False, "takes the place of a directory of the same layer"),
        ("extensions", "extensions/x/a.rpm", False, "lies below what is not a directory in the same layer"),
        ("usr", f"{EXTENSIONS}/a.rpm", False, "lies below what is not a directory in the same layer"),
    ],
)
def test_one_layer_cannot_take_back_what_was_already_passed_on(first, second, directory, message):
    layer = Layer()
    layer.add(first, directory=False)
    with pytest.raises(ValueError, match=message):
        layer.add(second, directory=directory)


def test_only_what_can_hide_an_rpm_is_remembered():
    layer = Layer()
    for n in range(1000):
        layer.add(f"srv/repo/objects/{n}", directory=False)
    assert layer.above(Shadow()) == Shadow()
