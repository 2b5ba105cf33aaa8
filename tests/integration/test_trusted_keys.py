"""Packages are taken out of the cache only while the keys that judged them are the ones that are trusted."""

import sys
from pathlib import Path

import pytest

from mcd_rt.content import cache, keys
from mcd_rt.content.fetch import fetch_content
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.demokey import PUBLIC_KEY
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from tests.effects_double import EffectsDouble
from tests.leaks import run

pytestmark = pytest.mark.story

WORKER = (sys.executable, "-c", "import mcd_rt.content.worker as w; raise SystemExit(w.serve_standard_input())")
NAMES = ("kernel-rt-core",)
PROMPT = ContentSettings(idle_timeout=20, fetch_timeout=20)


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    layers = [Layer(kernel_rt_packages("5.14.0", "284.rt14.el9", "x86_64", 9))]
    return write_layout(tmp_path / "layout", layers, tag="rt", architecture="x86_64")


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    write_keys(tmp_path / "host")
    return HostPaths(tmp_path / "host")


def fetched(paths: HostPaths, image: ImageReference) -> Content:
    return run(
        fetch_content(
            EffectsDouble(),
            PROMPT,
            paths,
            image,
            NAMES,
            lambda *_: None,
            worker_argv=WORKER,
            architecture="x86_64",
        )
    )


def loaded(paths: HostPaths, image: ImageReference) -> Content | None:
    return cache.load(paths, image.digest, NAMES, PROMPT.trust, PROMPT.keys)


def test_with_other_keys_it_is_fetched_and_judged_again(paths, image):
    content = fetched(paths, image)
    assert loaded(paths, image) == content
    paths.below("/etc/pki/rpm-gpg/another").write_text("another")
    assert loaded(paths, image) is None
    assert fetched(paths, image) == content
    assert loaded(paths, image) == content


def test_of_more_keys_than_are_handed_over_at_once_each_counts(paths, image):
    for number in range(40):
        paths.below(f"/etc/pki/rpm-gpg/{number}").write_text(f"no key {number}")
    content = fetched(paths, image)
    assert loaded(paths, image) == content
    paths.below("/etc/pki/rpm-gpg/39").write_text("no key at all")
    assert loaded(paths, image) is None


def test_a_directory_of_many_keys_is_taken_whatever_they_are_called(paths, image):
    place = paths.below("/etc/pki/rpm-gpg")
    for number in range(255):
        (place / f"{number}-{'ü' * 120}").write_text(f"{number}\n{PUBLIC_KEY}")
    assert loaded(paths, image) is None
    content = fetched(paths, image)
    assert loaded(paths, image) == content
    (place / "one more").write_text("no key")
    with pytest.raises(AgentError, match=r"257 files of public keys are in /etc/pki/rpm-gpg, expected 1 to 256"):
        fetched(paths, image)


def test_the_keys_that_are_kept_in_mind_are_the_ones_that_were_handed_over(paths, image, monkeypatch):
    """The vendor's key is withdrawn while it judges: what it judged must not be taken afterwards."""
    digest_of_key = keys.digest_of_key

    def withdrawn(file: Path, descriptor: int) -> str:
        file.unlink()
        paths.below("/etc/pki/rpm-gpg/other").write_text("another")
        return digest_of_key(file, descriptor)

    monkeypatch.setattr("mcd_rt.content.judging.digest_of_key", withdrawn)
    content = fetched(paths, image)
    assert loaded(paths, image) is None
    paths.below("/etc/pki/rpm-gpg/other").write_text(PUBLIC_KEY)
    assert loaded(paths, image) == content
