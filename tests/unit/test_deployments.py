"""rpm-ostree's dictionaries become deployments, or nothing is decided from them."""

import pytest

from mcd_rt.dbus.deployments import read_boot_options, read_deployments, read_kernel_arguments
from mcd_rt.dbus.wire import Typed, plain
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.deployment import Deployment
from mcd_rt.model.nevra import Nevra

DIGEST = "sha256:" + "d" * 64
BASE, LAYERED = "b" * 64, "c" * 64
RT = "kernel-rt-core-5.14.0-284.rt14.el9.x86_64"


def dictionary(**changed):
    """The least that every version reports, with some keys changed."""
    entry = {"id": f"rhcos-{BASE}.0", "osname": "rhcos", "checksum": BASE, "version": "416.94", "booted": False}
    entry |= {key.replace("_", "-"): value for key, value in changed.items()}
    return entry


def read(**changed):
    [found] = read_deployments([dictionary(**changed)]).all
    return found


def test_a_deployment_with_everything_is_read():
    value = Typed(
        "aa{sv}",
        [
            {
                "id": Typed("s", f"rhcos-{LAYERED}.1"),
                "osname": Typed("s", "rhcos"),
                "serial": Typed("i", 1),
                "checksum": Typed("s", LAYERED),
                "base-checksum": Typed("s", BASE),
                "version": Typed("s", "416.94"),
                "timestamp": Typed("t", 0),
                "booted": Typed("b", False),
                "staged": Typed("b", True),
                "finalization-locked": Typed("b", True),
                "pinned": Typed("b", True),
                "container-image-reference": Typed("s", f"ostree-unverified-registry:registry.example/x@{DIGEST}"),
                "container-image-reference-digest": Typed("s", DIGEST),
                "requested-packages": Typed("as", ["usbguard", "htop"]),
                "requested-local-packages": Typed("as", [RT]),
                "requested-base-removals": Typed("as", ["kernel-core", "kernel"]),
                "requested-base-local-replacements": Typed("as", ["b", "a"]),
                "base-commit-meta": Typed("a{sv}", {"ostree.linux": Typed("s", "5.14.0-284.el9.x86_64")}),
                "layered-commit-meta": Typed("a{sv}", {"ostree.linux": Typed("s", "5.14.0-284.rt14.el9.x86_64+rt")}),
                "base-removals": Typed("av", [Typed("(sstsss)", ["k", "k", 0, "1", "1", "x"])]),
                "novelty": Typed("v", Typed("u", 1)),
            }
        ],
    )
    assert read_deployments(plain(value)).all == (
        Deployment(
            id=f"rhcos-{LAYERED}.1",
            checksum=LAYERED,
            base_checksum=BASE,
            version="416.94",
            image_digest=DIGEST,
            booted=False,
            staged=True,
            locked=True,
            pinned=True,
            requested=("htop", "usbguard"),
            local=(Nevra("kernel-rt-core", 0, "5.14.0", "284.rt14.el9", "x86_64"),),
            removals=("kernel", "kernel-core"),
            replacements=("a", "b"),
            kernel_release="5.14.0-284.rt14.el9.x86_64+rt",
        ),
    )


def test_what_a_version_does_not_report_is_empty():
    assert read() == Deployment(
        id=f"rhcos-{BASE}.0",
        checksum=BASE,
        base_checksum=BASE,
        version="416.94",
        image_digest="",
        booted=False,
        staged=False,
        locked=False,
        pinned=False,
        requested=(),
        local=(),
        removals=(),
        replacements=(),
        kernel_release="",
    )


def test_the_kernel_release_is_that_of_the_commit_that_boots():
    base, layered = {"ostree.linux": "base"}, {"ostree.linux": "layered"}
    assert read(base_commit_meta=base).kernel_release == "base"
    both = {"base_commit_meta": base, "layered_commit_meta": layered}
    assert read(**both).kernel_release == "base"
    assert read(checksum=LAYERED, base_checksum=BASE, **both).kernel_release == "layered"
    assert read(checksum=LAYERED, base_checksum=BASE, base_commit_meta=base).kernel_release == ""


@pytest.mark.parametrize(
    ("origin", "digest"),
    [
        ({"container_image_reference_digest": DIGEST}, DIGEST),
        ({"container_image_reference": f"ostree-unverified-registry:registry.example/x@{DIGEST}"}, DIGEST),
        ({"container_image_reference": "ostree-unverified-registry:registry.example/x:latest"}, ""),
        ({"custom_origin": [f"pivot://registry.example/x@{DIGEST}", "Managed by machine-config-operator"]}, DIGEST),
        ({"custom_origin": ["pivot://registry.example/x:latest", "by hand"]}, ""),
        ({"custom_origin": []}, ""),
        ({"custom_origin": [7]}, ""),
        ({"custom_origin": "pivot"}, ""),
        ({"origin": BASE}, ""),
        ({"container_image_reference_digest": f"{DIGEST}0"}, ""),
        ({"container_image_reference_digest": DIGEST.upper()}, ""),
        ({"container_image_reference": f"registry.example/x@{DIGEST}/more"}, ""),
    ],
)
def test_the_digest_of_the_image_comes_from_whichever_origin_has_one(origin, digest):
    assert read(**origin).image_digest == digest


def test_an_image_behind_an_index_is_known_by_either_digest():
    """The reference has what was asked for, the other key what that was on this platform."""
    index = "sha256:" + "9" * 64
    found = read(
        container_image_reference=f"ostree-unverified-registry:registry.example/x@{index}",
        container_image_reference_digest=DIGEST,
    )
    assert (found.base, found.image_digests) == (index, (index, DIGEST))
    assert [found.stands_on(base) for base in (index, DIGEST, BASE, "")] == [True, True, False, False]


def test_a_base_of_no_image_is_known_by_its_commit():
    found = read()
    assert (found.base, found.image_digests) == (BASE, ())
    assert [found.stands_on(base) for base in (BASE, DIGEST, "")] == [True, False, False]


def test_replacements_of_either_origin_are_replacements():
    found = read(
        requested_base_local_replacements=["z-1-1.x86_64"],
        requested_base_remote_replacements=[["from repo=x", ["b", "c"]], ["from repo=y", ["a"]]],
    )
    assert found.replacements == ("a", "b", "c", "z-1-1.x86_64")


def test_deployments_of_another_os_are_not_ours():
    other = dictionary(id="fedora-0", osname="fedora")
    found = read_deployments([other, dictionary(id="ours", booted=True), other, dictionary(id="old")])
    assert [deployment.id for deployment in found.all] == ["ours", "old"]
    assert found.merge.id == found.booted.id == "ours"
    unbooted = read_deployments([other, dictionary()])
    assert [deployment.id for deployment in unbooted.all] == ["fedora-0"]
    assert unbooted.booted is None
    assert unbooted.staged is None


@pytest.mark.parametrize(
    "value",
    [
        "none",
        7,
        {},
        [],
        ["none"],
        [[]],
        [dictionary(), "none"],
        [dictionary(osname=7)],
        [dictionary(booted="yes")],
        [dictionary(booted=1)],
        [dictionary(id=["a"])],
        [dictionary(checksum=True)],
        [dictionary(staged=0)],
        [dictionary(finalization_locked="false")],
        [dictionary(requested_packages="htop")],
        [dictionary(requested_base_removals=["kernel", 7])],
        [dictionary(requested_local_packages=["kernel-rt-core"])],
        [dictionary(requested_local_packages=["kernel-rt-core-x:5.14-1.x86_64"])],
        [dictionary(requested_base_remote_replacements="none")],
        [dictionary(requested_base_remote_replacements=["a"])],
        [dictionary(requested_base_remote_replacements=[["from repo=x", "a"]])],
        [dictionary(base_commit_meta="none")],
        [dictionary(base_commit_meta={"ostree.linux": 5})],
        [dictionary(container_image_reference_digest=5)],
    ],
)
def test_what_is_not_as_documented_is_not_understood(value):
    with pytest.raises(AgentError) as caught:
        read_deployments(value)
    failure = caught.value.failure
    assert failure.code is Code.RPM_OSTREE_PROTOCOL
    assert failure.hint
    assert len(failure.message) < 300


def test_replacements_from_a_repository_count_like_local_ones():
    replaced = dictionary(**{"requested-base-remote-replacements": [["updates", ["kernel-core", "podman"]]]})
    [found] = read_deployments([replaced]).all
    assert found.replacements == ("kernel-core", "podman")


@pytest.mark.parametrize("wrong", ["kernel-core", [["updates"]], [["updates", "kernel-core"]], ["kernel-core"]])
def test_replacements_from_a_repository_in_an_unknown_form_are_not_passed_over(wrong):
    with pytest.raises(AgentError, match="requested-base-remote-replacements"):
        read_deployments([dictionary(**{"requested-base-remote-replacements": wrong})])


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ("", ()),
        ("root=UUID=1 rw  quiet quiet", ("root=UUID=1", "rw", "quiet", "quiet")),
        ("rw ostree=/ostree/boot.1/rhcos/0123/0 nosmt", ("rw", "nosmt")),
        ("ostree.x=1 my-ostree=2", ("ostree.x=1", "my-ostree=2")),
        ('rw dyndbg="file a.c +p" x', ("rw", 'dyndbg="file a.c +p"', "x")),
    ],
)
def test_kernel_arguments_are_those_of_the_boot_options_without_ostrees_own(options, arguments):
    assert read_kernel_arguments(read_boot_options([{"title": "RHCOS", "options": options}])) == arguments


def test_boot_options_that_are_not_there_are_none():
    assert read_boot_options([{}]) == ""


@pytest.mark.parametrize("answer", [[], {}, "rw", [[]], [{}, {}], [{"options": 7}], [{"options": ["rw"]}]])
def test_a_boot_configuration_that_is_not_as_documented_is_not_understood(answer):
    with pytest.raises(AgentError) as caught:
        read_boot_options(answer)
    assert caught.value.failure.code is Code.RPM_OSTREE_PROTOCOL


@pytest.mark.parametrize("options", ['a="b', "a\nb", "a\0b"])
def test_kernel_arguments_that_cannot_be_told_apart_are_not_understood(options):
    with pytest.raises(AgentError) as caught:
        read_kernel_arguments(options)
    assert caught.value.failure.code is Code.RPM_OSTREE_PROTOCOL
    assert len(caught.value.failure.message) < 300
