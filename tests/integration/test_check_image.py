"""``mcd-rt check-image`` says whether an image can serve, and why not, without leaving anything."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mcd_rt.cli import check_image
from mcd_rt.errors import Code
from mcd_rt.model.image import ImageReference
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from tests.leaks import leaves_nothing

LABELS = {"version": "416.94", "com.coreos.ostree-commit": "c0ffee"}
PACKAGES = kernel_rt_packages("5.14.0", "284.rt14.284.el9", "x86_64", 9)
KERNEL_RELEASE = "5.14.0-284.rt14.284.el9.x86_64+rt"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable:
    root, temporary = tmp_path / "root", tmp_path / "temporary"
    write_keys(root)
    temporary.mkdir()
    monkeypatch.setenv("MCD_RT_ROOT", str(root))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    parser = argparse.ArgumentParser()
    check_image.add_parser(parser.add_subparsers())

    def run(*arguments: object) -> tuple[int, str]:
        parsed = parser.parse_args(["check-image", "--architecture", "x86_64", *map(str, arguments)])
        with leaves_nothing():
            status = parsed.run(parsed)
        assert list(temporary.iterdir()) == []
        assert sorted(path.name for path in root.iterdir()) == ["etc"]
        return status, capfd.readouterr().out

    return run


def layout(tmp_path: Path, files: dict[str, bytes], labels: dict[str, str] = LABELS) -> ImageReference:
    return write_layout(tmp_path / "layout", [Layer(files)], tag="rt", architecture="x86_64", labels=labels)


def test_an_image_that_serves_is_told_with_what_it_belongs_to(check, tmp_path):
    image = layout(tmp_path, PACKAGES)
    status, said = check(image)
    assert status == 0
    assert said.startswith(f"{image}: ok: it has the realtime kernel {KERNEL_RELEASE}\n")
    for line in (
        f"  digest        {image.digest}",
        "  architecture  amd64",
        "  OS version    416.94",
        "  OS commit     c0ffee",
        "  signatures    judged by rpm",
        "  read by       layout: it is a layout on disk",
    ):
        assert line in said
    assert said.count("  package       kernel-rt-") == 5


def test_the_same_as_json(check, tmp_path):
    image = layout(tmp_path, PACKAGES)
    status, said = check("--json", image)
    report = json.loads(said)
    assert status == 0
    assert {f"{package['nevra']}.rpm": package["size"] for package in report.pop("packages")} == {
        name: len(data) for name, data in PACKAGES.items()
    }
    assert report.pop("trusted_by") in ("rpmkeys", "rpm-rs")
    assert report == {
        "image": str(image),
        "digest": image.digest,
        "usable": True,
        "code": None,
        "message": None,
        "hint": None,
        "problems": [],
        "kernel_type": "realtime",
        "kernel_release": KERNEL_RELEASE,
        "architecture": "amd64",
        "version": "416.94",
        "commit": "c0ffee",
        "way": "layout",
        "way_reason": "it is a layout on disk",
    }


KVM = next(name for name in PACKAGES if "-kvm-" in name)
REST = {name: data for name, data in PACKAGES.items() if name != KVM}
OLDER = kernel_rt_packages("5.14.0", "70.rt21.70.el9", "x86_64", 9)


def layers(tmp_path: Path, *files: dict[str, bytes]) -> ImageReference:
    return write_layout(tmp_path / "layout", [Layer(layer) for layer in files], tag="rt", architecture="x86_64")


def test_a_package_of_the_kernel_that_nodes_do_not_get_is_a_problem(check, tmp_path, mocker):
    image, judge = layers(tmp_path, {KVM: PACKAGES[KVM]}, REST), mocker.spy(check_image, "_judge")
    status, said = check("--json", image)
    report = json.loads(said)
    assert (status, report["usable"], report["code"], report["kernel_release"]) == (1, True, None, KERNEL_RELEASE)
    assert {f"{package['nevra']}.rpm" for package in report["packages"]} == set(REST)
    (problem,) = report["problems"]
    assert problem.startswith(f"{KVM.removesuffix('.rpm')} lies in an older layer than the rest of its kernel")
    said = check_image._as_text(judge.spy_return)
    assert said.startswith(f"{image}: a problem: it has the realtime kernel {KERNEL_RELEASE}\n")
    assert f"\n  problem       {problem}\n" in said, "the same verdict, for people"


@pytest.mark.parametrize(
    "files",
    [
        (OLDER, PACKAGES),
        (OLDER, REST),
        ({KVM: PACKAGES[KVM]}, PACKAGES),
        ({f"extensions/{KVM}": PACKAGES[KVM]}, PACKAGES),
        ({KVM: PACKAGES[KVM]}, REST | {f".wh.{KVM}": b""}),
    ],
    ids=["an older kernel", "an older kernel with more", "the same", "the same elsewhere", "removed"],
)
def test_what_else_is_in_older_layers_is_no_problem(check, tmp_path, files):
    status, said = check("--json", layers(tmp_path, *files))
    report = json.loads(said)
    assert (status, report["problems"], report["kernel_release"]) == (0, [], KERNEL_RELEASE)


def test_an_older_layer_that_is_damaged_is_found_although_nodes_do_not_read_it(check, tmp_path):
    image = layers(tmp_path, {"a.rpm": b"no RPM"}, PACKAGES)
    status, said = check("--json", image)
    assert (status, json.loads(said)["code"]) == (1, Code.PACKAGE_CORRUPT)


def test_a_tag_is_taken_for_what_it_means_now(check, tmp_path):
    image = layout(tmp_path, PACKAGES)
    status, said = check("--json", f"oci:{image.place}:rt")
    assert (status, json.loads(said)["digest"]) == (0, image.digest)


UNUSABLE = [
    ({}, (), Code.IMAGE_WITHOUT_KERNEL, "has no kernel-rt packages"),
    (PACKAGES, ("--kernel-type", "64k-pages"), Code.IMAGE_WITHOUT_KERNEL, "has no kernel-64k packages"),
    (PACKAGES, ("--architecture", "aarch64"), Code.PACKAGE_WRONG_ARCHITECTURE, "are for x86_64"),
    (
        {name: data for name, data in PACKAGES.items() if "modules" not in name},
        (),
        Code.PACKAGES_INCOMPLETE,
        "but not kernel-rt-modules",
    ),
    (kernel_rt_packages("5", "1", "x86_64", 9, secret_key=""), (), Code.PACKAGE_UNSIGNED, "has no signature"),
    ({"a.rpm": PACKAGES[next(iter(PACKAGES))][:-9]}, (), Code.PACKAGE_CORRUPT, "a.rpm is not a whole RPM"),
]


@pytest.mark.parametrize(("files", "more", "code", "message"), UNUSABLE, ids=[case[3] for case in UNUSABLE])
def test_an_image_that_does_not_serve_is_told_why(check, tmp_path, mocker, files, more, code, message):
    image, judge = layout(tmp_path, files, {}), mocker.spy(check_image, "_judge")
    status, said = check("--json", *more, image)
    report = json.loads(said)
    assert (status, report["usable"], report["code"]) == (1, False, code)
    assert message in report["message"]
    assert report["hint"]
    assert check_image._as_text(judge.spy_return).startswith(f"{image}: {code}: "), "the same verdict, for people"


def test_what_is_no_reference_and_no_image_is_told(check, tmp_path):
    for text, message in (("oci:relative", "needs an absolute path"), (f"oci:{tmp_path}", "oci-layout cannot be")):
        status, said = check("--json", text)
        report = json.loads(said)
        assert (status, report["code"], report["digest"]) == (1, Code.IMAGE_UNREADABLE, None)
        assert message in report["message"]
