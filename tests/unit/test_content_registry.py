"""A registry is read by the way its policy needs, and whatever skopeo does, the worker ends with a name for it."""

import json
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import manifest as documents
from mcd_rt.content.blob import verified
from mcd_rt.content.link import TRIES, Access
from mcd_rt.content.registry import open_registry
from mcd_rt.content.skopeo import skopeo_for
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.content import Way
from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Layer, put_blob, write_layout
from tests.leaks import leaves_nothing
from tests.unit import fake_skopeo

ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'
REJECT = '{"default": [{"type": "reject"}]}'
LAYERS = [Layer({"old": os.urandom(100_000)}), Layer({"new": os.urandom(300_000)})]


class Host:
    """A host with a fake skopeo, and the image it serves."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.layout = write_layout(place / "layout", LAYERS, tag="x", architecture="x86_64")
        self.image = ImageReference("registry.example/os", "rt", self.layout.digest, layout=False)
        self.paused: list[float] = []
        self.copied: list[tuple[int, int]] = []
        self.told: list[tuple[Way, str]] = []
        (place / "root/etc/containers").mkdir(parents=True)
        self.policy(ANYTHING)
        monkeypatch.setenv("PATH", str(place / "bin"))
        self.behave()

    def behave(self, **behaviour: object) -> None:
        known = {"layout": self.layout.place, "digest": self.layout.digest}
        fake_skopeo.install(self.place / "bin", **(known | behaviour))

    def policy(self, text: str) -> None:
        (self.place / "root/etc/containers/policy.json").write_text(text)

    def read(self, image: ImageReference | None = None, **changes: object) -> tuple[Way, str, list[bytes]]:
        """The way, why, and the layers, newest first, each verified."""
        scratch = self.place / "scratch"
        scratch.mkdir(exist_ok=True)
        skopeo = skopeo_for("registry.example/os", str(self.place / "root"), (), "x86_64", str(scratch))
        access = Access(
            skopeo,
            "x86_64",
            64,
            10.0,
            scratch,
            self.paused.append,
            lambda: None,
            lambda *said: self.copied.append(said),
            lambda _image, *said: self.told.append(said),
            lambda: None,
        )
        with leaves_nothing(), ExitStack() as stack:
            source = stack.enter_context(open_registry(image or self.image, replace(access, **changes)))
            found = []
            for layer in reversed(source.image.layers):
                with source.open_layer(layer) as opened, verified(opened, layer, lambda _: None) as reader:
                    parts = []
                    while data := reader.read(7919):
                        parts.append(data)
                found.append(b"".join(parts))
            outcome = source.way, source.why, found
        assert list(scratch.iterdir()) == []
        return outcome

    def layers(self) -> list[bytes]:
        """What they are."""
        place = Path(self.layout.place)
        found = json.loads((place / "blobs" / self.layout.digest.replace(":", "/")).read_bytes())
        return [(place / "blobs" / entry["digest"].replace(":", "/")).read_bytes() for entry in found["layers"]][::-1]

    def put(self, document: object) -> str:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        return put_blob(Path(self.layout.place), data)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_an_old_proxy_will_do_where_the_policy_accepts_anything(host):
    assert host.read() == (Way.PROXY, "the policy accepts any image", host.layers())
    assert (host.place / "bin/opened").read_text() == f"docker://registry.example/os@{host.layout.digest}\n"


@pytest.mark.parametrize("version", ["0.2.6", "0.2.8", "0.3.0", "1.0"])
def test_a_proxy_that_judges_the_policy_is_left_to_judge_it(host, version):
    host.policy(REJECT)
    host.behave(version=version)
    assert host.read() == (Way.PROXY, "skopeo judges the policy", host.layers())


def behind_index(host: Host) -> ImageReference:
    """The image, named by an index it is in."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    entry = {"mediaType": kind, "digest": host.layout.digest, "size": 1}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    return replace(host.image, digest=host.put({"schemaVersion": 2, "manifests": [entry]}))


def test_where_only_the_images_behind_an_index_are_signed_that_is_enough(host):
    """As it is for podman: the proxy of skopeo judges the index, which nobody else does."""
    index = behind_index(host)
    host.behave(version="0.2.8", fault=f"rejects:{index.digest}")
    why = "skopeo judges the policy: not for the index, but for the image behind it"
    assert host.read(index) == (Way.PROXY, why, host.layers())
    opened = (host.place / "bin/opened").read_text().split()
    assert opened == [f"docker://registry.example/os@{digest}" for digest in (index.digest, host.layout.digest)]


def test_where_neither_the_index_nor_the_image_is_signed_it_is_rejected(host):
    index = behind_index(host)
    host.behave(version="0.2.8", fault="rejects:")
    expect(host, Code.IMAGE_REJECTED_BY_POLICY, "no signature exists", image=index)
    host.behave(version="0.2.8", fault=f"rejects:{host.layout.digest}")
    expect(host, Code.IMAGE_REJECTED_BY_POLICY, "no signature exists")


@pytest.mark.parametrize("policy", [REJECT, "nonsense", ""])
def test_where_the_policy_demands_something_of_an_old_proxy_the_image_is_copied(host, policy):
    host.policy(policy)
    way, why, layers = host.read()
    assert (way, layers) == (Way.COPY, host.layers())
    assert "the proxy of protocol 0.2.3 judges no policy" in why
    assert f"--policy {host.place}/root/etc/containers/policy.json" in (host.place / "bin/copied").read_text()


def test_a_copy_that_is_rejected_is_told_so(host):
    host.policy(REJECT)
    host.behave(fault="no-copy")
    expect(host, Code.IMAGE_REJECTED_BY_POLICY, "registry.example/os:rt@sha256:", "Source image rejected: no signature")
    [(way, why)] = host.told
    assert (way, why.partition(",")[0]) == (Way.COPY, "the policy demands something of this image"), "before it is made"


def test_a_copy_that_stands_still_is_given_up(host):
    host.policy(REJECT)
    host.behave(fault="copy-hangs")
    expect(host, Code.IMAGE_UNREADABLE, "skopeo said nothing for 0.5 s", patience=0.5)
    assert host.copied[-1][0] > 0


def test_a_copy_that_has_no_room_is_not_begun(host, monkeypatch):
    host.policy(REJECT)
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((1, 1, 9, 9, 9, 0, 0, 0, 0, 0)))
    expect(host, Code.CACHE_FULL, "/scratch has 9 bytes free; a copy of registry.example/os", " takes 400")
    assert not (host.place / "bin/copied").exists()


def expect(host: Host, code: Code, *words: str, image: ImageReference | None = None, **changes: object) -> None:
    with pytest.raises(AgentError) as caught:
        host.read(image, **changes)
    assert caught.value.failure.code is code, str(caught.value.failure)
    for word in words:
        assert word in caught.value.failure.message
    assert caught.value.failure.hint


def test_a_tag_is_resolved_once(host):
    assert host.read(replace(host.image, digest=""))[2] == host.layers()
    assert (host.place / "bin/opened").read_text() == f"docker://registry.example/os@{host.layout.digest}\n"
    host.behave(fault="no-raw")
    expect(host, Code.IMAGE_NOT_FOUND, "manifest unknown", image=replace(host.image, digest=""))


def test_an_index_is_resolved_by_its_own_bytes(host):
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": host.layout.digest, "size": 1}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    index = host.put({"schemaVersion": 2, "manifests": [entry]})
    assert host.read(replace(host.image, digest=index))[2] == host.layers()


def test_a_proxy_that_converts_the_manifest_is_not_asked_for_it(host):
    host.behave(digest=host.put(b'{"schemaVersion": 2, "converted": true}'))
    assert host.read()[2] == host.layers()


def test_a_manifest_of_another_digest_is_noticed(host):
    host.behave(fault="raw:100")
    expect(host, Code.IMAGE_DIGEST_MISMATCH, "has the digest", image=replace(host.image, digest="sha256:" + "0" * 64))


def test_a_gigantic_manifest_is_not_read_on(host):
    host.behave(fault="endless-manifest")
    expect(host, Code.IMAGE_TOO_LARGE, f"has more than {documents.MAX_DOCUMENT} bytes")
    host.behave(fault=f"raw:{documents.MAX_DOCUMENT + 1}")
    expect(host, Code.IMAGE_TOO_LARGE, "skopeo says more than", image=replace(host.image, digest="sha256:" + "0" * 64))


def test_a_thousand_layers_are_refused_before_one_is_fetched(host):
    found = json.loads((Path(host.layout.place) / "blobs" / host.layout.digest.replace(":", "/")).read_bytes())
    digest = host.put(found | {"layers": found["layers"] * 500})
    host.behave(digest=digest)
    expect(host, Code.IMAGE_TOO_LARGE, "has 1000 layers, more than 64", image=replace(host.image, digest=digest))


def test_a_gigantic_config_is_refused_before_it_is_fetched(host):
    found = json.loads((Path(host.layout.place) / "blobs" / host.layout.digest.replace(":", "/")).read_bytes())
    digest = host.put(found | {"config": found["config"] | {"size": 1 << 40}})
    host.behave(digest=digest)
    expect(host, Code.IMAGE_TOO_LARGE, "has a config of", image=replace(host.image, digest=digest))


def test_a_layer_without_end_is_cut_at_its_size(host):
    host.behave(fault="endless-blob")
    expect(host, Code.IMAGE_DIGEST_MISMATCH, "is longer than the")


def test_what_breaks_off_is_taken_up_where_it_broke(host):
    host.behave(fault="breaks:3")
    assert host.read()[2] == host.layers()
    assert host.paused == [1.0, 2.0, 4.0]


def test_what_always_breaks_off_is_given_up(host):
    host.behave(fault="breaks:1000")
    expect(host, Code.IMAGE_UNREADABLE, "unexpected EOF")
    assert len(host.paused) == TRIES - 1


METHODS = ("Initialize", "OpenImage", "GetManifest", "GetBlob", "FinishPipe")
MISBEHAVIOUR = [
    (("silent", method), Code.IMAGE_UNREADABLE, "nothing came for 0.3 s") for method in METHODS
] + [
    (("ends", method), Code.WORKER_FAILED, "ended before it had answered") for method in METHODS
] + [
    case
    for method in METHODS[:-1]
    for case in (
        (("packet", method), Code.WORKER_FAILED, "sends a packet of more than 32768 bytes"),
        (("nonsense", method), Code.WORKER_FAILED, "breaks its protocol: "),
    )
]  # fmt: skip


@pytest.mark.parametrize(("how", "code", "message"), MISBEHAVIOUR, ids=[":".join(how) for how, *_ in MISBEHAVIOUR])
def test_a_proxy_that_misbehaves_is_named(host, how, code, message):
    fault, method = how
    host.behave(fault=f"{fault}:{method}")
    expect(host, code, message, patience=0.3 if fault == "silent" else 10.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("Initialize=5", "it does not say which protocol it speaks"),
        ('Initialize="new"', "it does not say which protocol it speaks"),
        ('OpenImage="one"', "it does not say which image it opened"),
        ("OpenImage=-1", "it does not say which image it opened"),
        ("GetManifest=1", "it answers GetManifest without a pipe"),
    ],
)
def test_a_proxy_that_answers_nonsense_is_named(host, fault, message):
    host.behave(fault=f"value:{fault}")
    expect(host, Code.WORKER_FAILED, message)


def test_what_it_complains_of_is_told_with_the_image(host):
    host.behave(fault="complaint:reading manifest: unauthorized: authentication required")
    expect(host, Code.IMAGE_UNAUTHORIZED, "registry.example/os:rt@sha256:", "unauthorized: authentication required")


def test_a_host_without_skopeo_is_told_so(host):
    (host.place / "bin/skopeo").unlink()
    expect(host, Code.WORKER_FAILED, "cannot run skopeo: No such file or directory")
