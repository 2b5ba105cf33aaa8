"""A tag is asked for its digest by way of the worker, at the cost of its manifests, or refused with a name."""

import asyncio
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import frames
from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.frames import DoneFrame, FileFrame, ImageFrame, PackageFrame
from mcd_rt.content.resolve import resolve_tag
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Judge, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Layer, kernel_rt_packages, put_blob, write_layout
from tests.effects_double import EffectsDouble
from tests.leaks import leaves_nothing, run
from tests.unit import fake_skopeo

pytestmark = pytest.mark.story

WORKER = (sys.executable, "-c", "import mcd_rt.content.worker as w; raise SystemExit(w.serve_standard_input())")
TAGS = ContentSettings(idle_timeout=20, fetch_timeout=20, allow_tags=True)
ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'
REJECT = '{"default": [{"type": "reject"}]}'
NAMES = ("kernel-rt-core", "kernel-rt-modules")
RT = kernel_rt_packages("5.14.0", "284.rt14.284.el9", "x86_64", 9)


class Host:
    """A host with a fake skopeo, and the image that the tag ``rt`` means."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.paths = HostPaths(place / "root")
        write_keys(self.paths.root)
        self.policy(ANYTHING)
        self.tag = ImageReference("registry.example/os", "rt", "", layout=False)
        self.layout = self.moves(RT)

    def moves(self, files: dict[str, bytes], **behaviour: object) -> ImageReference:
        """The tag means another image from now on."""
        layers = [Layer({"srv/x": b"x"}), Layer(files)]
        layout = write_layout(self.place / "layout", layers, tag="rt", architecture="x86_64")
        known = {"layout": layout.place, "digest": layout.digest}
        fake_skopeo.install(self.place / "bin", **(known | behaviour))
        return layout

    def policy(self, text: str) -> None:
        file = self.paths.below("/etc/containers/policy.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def resolved(
        self,
        image: ImageReference | None = None,
        worker: tuple[str, ...] = WORKER,
        settings: ContentSettings = TAGS,
        effects: EffectsDouble | None = None,
    ) -> str:
        effects = effects or EffectsDouble()
        try:
            return run(
                resolve_tag(effects, settings, self.paths, image or self.tag, worker_argv=worker, architecture="x86_64")
            )
        finally:
            assert not self.paths.cache.exists()
            assert {effect.kind for effect in effects.attempted} <= {"spawn"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Host(tmp_path)


def refused(host: Host, *arguments: object, **named: object) -> tuple[Code, str]:
    with leaves_nothing(), pytest.raises(AgentError) as caught:
        host.resolved(*arguments, **named)
    return caught.value.failure.code, caught.value.failure.message


def test_a_tag_means_what_it_means_now(host):
    first = host.resolved()
    assert first == host.layout.digest
    second = host.moves({"other.rpm": RT[next(iter(RT))]}).digest
    assert host.resolved() == second != first


def test_no_tag_at_all_is_one_too(host):
    assert host.resolved(replace(host.tag, tag="")) == host.layout.digest


def test_no_layer_is_read_for_it(host):
    for blob in (Path(host.layout.place) / "blobs/sha256").iterdir():
        if blob.stat().st_size > 2000:
            blob.unlink()
    assert host.resolved() == host.layout.digest
    assert (host.place / "bin/opened").read_text() == f"docker://registry.example/os@{host.layout.digest}\n"


def test_what_it_is_resolved_to_is_in_the_log(host, caplog):
    caplog.set_level(logging.INFO, "mcd_rt")
    digest = host.resolved()
    said = f"registry.example/os:rt is {digest} (asked by way of proxy: the policy accepts any image)"
    assert [message for message in caplog.messages if " is sha256:" in message] == [said]


def test_what_it_is_resolved_to_can_be_fetched(host):
    digest = host.resolved()
    pinned = replace(host.tag, tag="", digest=digest)
    content = run(
        fetch_content(
            EffectsDouble(), TAGS, host.paths, pinned, NAMES, lambda *_: None, worker_argv=WORKER, architecture="x86_64"
        )
    )
    assert (content.digest, len(content.packages)) == (digest, 2)


def test_the_tag_of_an_index_is_the_image_for_the_machine(host):
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": host.layout.digest, "size": 1}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    place = Path(host.layout.place)
    index = put_blob(place, json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    fake_skopeo.install(host.place / "bin", layout=str(place), digest=index)
    assert host.resolved() == host.layout.digest


def test_nothing_is_copied_where_the_policy_demands_something_of_an_old_proxy(host):
    host.policy(REJECT)
    assert host.resolved() == host.layout.digest
    assert not (host.place / "bin/copied").exists()


def test_a_proxy_that_judges_the_policy_is_obeyed(host):
    host.moves(RT, version="0.2.8", fault="complaint:Source image rejected: Running image is rejected by policy.")
    code, message = refused(host)
    assert (code, "rejected by policy" in message) == (Code.IMAGE_REJECTED_BY_POLICY, True)


@pytest.mark.parametrize("tag", ["rt", ""])
def test_a_tag_of_a_layout_is_read_in_it(host, tag):
    assert host.resolved(replace(host.layout, tag=tag, digest="")) == host.layout.digest


def test_a_tag_that_a_layout_does_not_have_is_named(host):
    code, message = refused(host, replace(host.layout, tag="other", digest=""))
    assert (code, "has no images with the tag 'other'" in message) == (Code.IMAGE_UNREADABLE, True)


def test_a_pinned_image_asks_nobody(host):
    effects = EffectsDouble()
    assert host.resolved(host.layout, settings=ContentSettings(), effects=effects) == host.layout.digest
    assert effects.attempted == []


def test_a_tag_is_not_even_asked_for_unless_tags_are_allowed(host):
    effects = EffectsDouble()
    with pytest.raises(AgentError, match=r"registry\.example/os:rt names no digest") as caught:
        host.resolved(settings=ContentSettings(), effects=effects)
    assert caught.value.failure.code is Code.IMAGE_NOT_PINNED
    assert "allow_tags" in caught.value.failure.hint
    assert effects.attempted == []


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("no-raw", Code.IMAGE_NOT_FOUND, "manifest unknown"),
        ("complaint:unauthorized: authentication required", Code.IMAGE_UNAUTHORIZED, "authentication required"),
        ("ends:OpenImage", Code.WORKER_FAILED, "ended before it had answered"),
    ],
)
def test_what_is_wrong_with_the_registry_is_told_as_by_a_fetch(host, fault, code, message):
    host.moves(RT, fault=fault)
    found, said = refused(host)
    assert (found, message in said) == (code, True)


def scripted(*answer: object, then: str = "") -> tuple[str, ...]:
    data = b"".join(part if isinstance(part, bytes) else frames.encode(part) for part in answer)
    code = f"""
import os, socket
connection = socket.socket(fileno=os.dup(0))
connection.recv(65536)
connection.sendall({data!r})
{then}
"""
    return (sys.executable, "-I", "-S", "-c", code)


IMAGE = ImageFrame("sha256:" + "1" * 64, "amd64", "", "", Way.PROXY, "")
CORE = PackageFrame(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), "", (), (), Judge.NOBODY)
LIES = [
    ((DoneFrame(),), "did not say which image registry.example/os:rt is"),
    ((IMAGE, FileFrame("a", 1)), "sent more than 0 files"),
    ((IMAGE, CORE), "sent PackageFrame where a file or the end was due"),
    ((IMAGE, IMAGE), "sent ImageFrame where a file or the end was due"),
    ((b'{"image": {"digest": "latest"}}\n',), "digest: 'latest' is not one"),
    ((IMAGE,), "ended with the exit status 0 before its answer was complete"),
]


@pytest.mark.parametrize(("answer", "message"), LIES, ids=[message for _, message in LIES])
def test_a_worker_that_lies_is_not_believed(host, answer, message):
    code, said = refused(host, worker=scripted(*answer, then="" if answer == (IMAGE,) else "connection.recv(1)"))
    assert (code, message in said) == (Code.WORKER_FAILED, True)


def test_a_worker_that_hangs_is_given_up(host):
    settings = replace(TAGS, idle_timeout=0.3)
    code, said = refused(host, worker=scripted(then="connection.recv(1)"), settings=settings)
    assert (code, "said nothing for 0.3 s" in said) == (Code.WORKER_TIMEOUT, True)
    settings = replace(TAGS, fetch_timeout=0.3)
    code, said = refused(host, worker=scripted(then="connection.recv(1)"), settings=settings)
    assert (code, "was not done after 0.3 s" in said) == (Code.WORKER_TIMEOUT, True)


def test_a_resolution_that_is_cancelled_takes_its_worker_along(host):
    async def cancelled() -> None:
        started = asyncio.Event()

        class Noticing(EffectsDouble):
            async def spawn(self, argv, environment):
                child = await super().spawn(argv, environment)
                started.set()
                return child

        worker = scripted(then="connection.recv(1)")
        resolving = asyncio.create_task(resolve_tag(Noticing(), TAGS, host.paths, host.tag, worker_argv=worker))
        await started.wait()
        resolving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await resolving

    run(cancelled())
