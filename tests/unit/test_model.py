"""The values everyone speaks: references, NEVRAs, kernel types, identities."""

import re
from dataclasses import replace

import pytest

from mcd_rt.model.deployment import Deployments
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType, flavor_of, flavor_owning, is_base_kernel
from mcd_rt.model.listen import TcpAddress, UnixAddress, parse_listen
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Assembly
from tests.unit.nodes import EL8_RT, EL9, EL9_RT, IMAGE, host, on_default, on_flavor, staged, target_of


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (f"oci:/srv/image@{IMAGE}", ImageReference("/srv/image", "", IMAGE, layout=True)),
        ("oci:/srv/image:4.16", ImageReference("/srv/image", "4.16", "", layout=True)),
        (f"oci:/srv/image:4.16@{IMAGE}", ImageReference("/srv/image", "4.16", IMAGE, layout=True)),
        ("oci:/srv:1/image", ImageReference("/srv:1/image", "", "", layout=True)),
        ("registry.example/os", ImageReference("registry.example/os", "", "", layout=False)),
        ("registry.example:5000/os", ImageReference("registry.example:5000/os", "", "", layout=False)),
        (
            f"registry.example:5000/os:v_1@{IMAGE}",
            ImageReference("registry.example:5000/os", "v_1", IMAGE, layout=False),
        ),
    ],
)
def test_a_reference_is_read_and_printed(text, reference):
    assert ImageReference.parse(text) == reference
    assert str(reference) == text


def test_a_reference_with_a_transport_is_read():
    assert str(ImageReference.parse(f"docker://registry.example/os@{IMAGE}")) == f"registry.example/os@{IMAGE}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registry.example/os@", "digest must be"),
        ("registry.example/os@sha256:abc", "digest must be"),
        (f"registry.example/os@{IMAGE.upper()}", "digest must be"),
        (f"registry.example/os@{IMAGE}\n", "digest must be"),
        (f"registry.example/os@{IMAGE}@{IMAGE}", "digest must be"),
        ("registry.example/os:a+b", "the tag 'a+b'"),
        ("registry.example/os:" + "a" * 129, "the tag"),
        ("oci:srv/image", "absolute path"),
        ("oci:", "absolute path"),
        ("", "not an image reference"),
        (f"@{IMAGE}", "not an image reference"),
        ("registry.example/o s", "not an image reference"),
        ("registry.example/o\x00s", "not an image reference"),
    ],
)
def test_what_is_no_reference_is_said_to_be_none(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        ImageReference.parse(text)


@pytest.mark.parametrize(
    ("text", "nevra"),
    [
        ("kernel-rt-core-4.18.0-193.el8.x86_64", Nevra("kernel-rt-core", 0, "4.18.0", "193.el8", "x86_64")),
        ("podman-2:4.4.2-1.el9.x86_64", Nevra("podman", 2, "4.4.2", "1.el9", "x86_64")),
    ],
)
def test_a_nevra_is_read_and_printed(text, nevra):
    assert Nevra.parse(text) == nevra
    assert str(nevra) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kernel",
        "kernel-core",
        "a-1.x86_64",
        "a-1-2.",
        "a-b:1-2.x86_64",
        "a-:1-2.x86_64",
        "-1-2.x86_64",
        "a--2.x86_64",
    ],
)
def test_what_is_no_nevra_is_refused(text):
    with pytest.raises(ValueError, match="not a name-"):
        Nevra.parse(text)


def test_kernel_types_but_the_default_have_a_flavor():
    assert flavor_of(KernelType.DEFAULT) is None
    for kernel_type in set(KernelType) - {KernelType.DEFAULT}:
        assert flavor_of(kernel_type).kernel_type is kernel_type


@pytest.mark.parametrize(
    ("name", "kernel_type"),
    [
        ("kernel-rt-core", KernelType.REALTIME),
        ("kernel-rt-kvm", KernelType.REALTIME),
        ("kernel-64k-modules-extra", KernelType.PAGES_64K),
    ],
)
def test_a_package_belongs_to_one_flavor(name, kernel_type):
    assert flavor_owning(name) is flavor_of(kernel_type)


@pytest.mark.parametrize("name", ["kernel-rt-devel", "kernel-rt-debug-core", "kernel-64k-kvm", "kernel-core", "htop"])
def test_other_packages_belong_to_none(name):
    assert flavor_owning(name) is None


@pytest.mark.parametrize(
    ("kernel_type", "architecture", "exists"),
    [
        (KernelType.REALTIME, "x86_64", True),
        (KernelType.REALTIME, "aarch64", True),
        (KernelType.REALTIME, "s390x", False),
        (KernelType.PAGES_64K, "aarch64", True),
        (KernelType.PAGES_64K, "x86_64", False),
    ],
)
def test_a_flavor_exists_for_some_architectures(kernel_type, architecture, exists):
    assert flavor_of(kernel_type).supports(architecture) is exists


def test_a_flavor_without_architectures_exists_for_all():
    assert replace(flavor_of(KernelType.REALTIME), architectures=()).supports("riscv64")


@pytest.mark.parametrize(
    ("name", "carries"),
    [
        ("kernel", True),
        ("kernel-core", True),
        ("kernel-modules", True),
        ("kernel-modules-core", True),
        ("kernel-modules-extra-matched", True),
        ("kernel-tools", False),
        ("kernel-tools-libs", False),
        ("kernel-headers", False),
        ("kernel-rt-core", False),
        ("kernel-modulesque", False),
    ],
)
def test_what_makes_room_for_another_kernel(name, carries):
    assert is_base_kernel(name) is carries


@pytest.mark.parametrize(
    ("os_id", "variant", "ostree", "supported"),
    [
        ("rhcos", "", True, True),
        ("scos", "coreos", True, True),
        ("rhel", "coreos", True, True),
        ("centos", "coreos", True, True),
        ("rhel", "", True, False),
        ("rhel", "server", True, False),
        ("fedora", "coreos", True, False),
        ("rhcos", "coreos", False, False),
    ],
)
def test_image_based_hosts_are_served(os_id, variant, ostree, supported):
    assert host(os_id=os_id, os_variant=variant, ostree=ostree).supported is supported


def test_deployments_are_found_by_what_they_are():
    waiting, running, old = staged(on_flavor(EL9, EL9_RT)), on_default(), on_default(booted=False, id="rhcos-old.0")
    there = Deployments((waiting, running, old))
    assert (there.merge, there.staged, there.booted) == (waiting, waiting, running)
    alone = Deployments((old,))
    assert (alone.merge, alone.staged, alone.booted) == (old, None, None)


def test_equal_targets_have_one_identity_in_whatever_order_their_packages_are():
    target = target_of(EL9, EL9_RT)
    assert replace(target, packages=tuple(reversed(target.packages))).identity == target.identity


def test_an_assembly_digest_tells_other_bytes_from_the_same_names():
    packages = EL9_RT.packages
    rebuilt = (replace(packages[0], sha256="0" * 64), *packages[1:])
    digest = Assembly(install=packages).digest
    assert digest == Assembly(install=tuple(reversed(packages))).digest
    assert digest not in {Assembly(install=rebuilt).digest, Assembly(install=EL8_RT.packages).digest, Assembly().digest}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8654", TcpAddress("127.0.0.1", 8654)),
        ("[::1]:0", TcpAddress("::1", 0)),
        ("unix:/run/metrics.sock", UnixAddress("/run/metrics.sock")),
    ],
)
def test_an_address_to_listen_on_is_read_and_printed(text, address):
    assert parse_listen(text) == address
    assert str(address) == text


def test_no_address_is_nowhere():
    assert parse_listen("") is None


@pytest.mark.parametrize(
    "text",
    [
        "localhost:8654",
        "127.0.0.1",
        "127.0.0.1:65536",
        "127.0.0.1.1:80",
        "[localhost]:80",
        "::1:80",
        "unix:metrics.sock",
        "unix:/run/",
        "unix:/run/a\0b",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_listen(text)


def test_the_meta_package_somebody_layered_is_of_the_flavor_but_never_installed_by_us():
    flavor = flavor_of(KernelType.REALTIME)
    assert flavor_owning("kernel-rt") is flavor
    assert not flavor.owns("kernel-rt")
    assert flavor_owning("kernel-rt-devel") is None
