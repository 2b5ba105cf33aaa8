"""An OCI layout gives exactly the image that was named, or says what is wrong with it."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import manifest as documents
from mcd_rt.content.layout import open_blob, open_image
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Layer, put_blob, write_layout

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = {
    OCI_MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.config.v1+json": "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    layers = [Layer({"old": b"1"}), Layer({"new": b"2"})]
    return write_layout(tmp_path / "layout", layers, tag="rt", architecture="x86_64")


def blob(image: ImageReference, digest: str = "") -> Path:
    return Path(image.place) / "blobs" / (digest or image.digest).replace(":", "/")


def manifest(image: ImageReference) -> dict:
    return json.loads(blob(image).read_bytes())


def renamed(image: ImageReference, document: object) -> ImageReference:
    """The reference of another manifest or index, put into the same layout."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return replace(image, digest=put_blob(Path(image.place), data))


def entry(image: ImageReference, **changes: object) -> dict:
    return {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": blob(image).stat().st_size} | changes


def platform(architecture: str, system: str = "linux") -> dict:
    return {"architecture": architecture, "os": system}


def opened(image: ImageReference) -> documents.Image:
    return open_image(image, "x86_64", 512)


def test_a_digest_names_an_image_whatever_the_tag_says(image):
    found = opened(image)
    assert found.digest == image.digest
    assert found.architecture == "amd64"
    assert [layer.digest for layer in found.layers] == [layer["digest"] for layer in manifest(image)["layers"]]
    assert opened(replace(image, tag="other")) == found


def test_a_tag_names_the_image_that_has_it(image):
    other = write_layout(Path(image.place), [Layer({"x": b""})], tag="other", architecture="x86_64")
    assert opened(replace(image, digest="")).digest == image.digest
    assert opened(replace(other, digest="")).digest == other.digest


def test_the_only_image_needs_no_tag(image):
    assert opened(replace(image, digest="", tag="")).digest == image.digest


def test_manifests_of_docker_are_read_as_well(image):
    text = blob(image).read_text()
    for oci, docker in DOCKER.items():
        text = text.replace(oci, docker)
    found = opened(renamed(image, text.encode()))
    assert [layer.media_type for layer in found.layers] == [DOCKER["application/vnd.oci.image.layer.v1.tar+gzip"]] * 2


def test_an_index_gives_the_image_for_the_architecture_even_inside_another_index(image, tmp_path):
    arm = write_layout(tmp_path / "layout", [Layer({"a": b""})], tag="arm", architecture="aarch64")
    entries = [
        entry(image, platform=platform("unknown", "unknown")),
        entry(arm, platform=platform("arm64")),
        entry(image, platform=platform("amd64")),
        entry(arm, platform=platform("amd64")),
    ]
    index = renamed(image, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    assert opened(index).digest == image.digest
    assert open_image(index, "aarch64", 512).digest == arm.digest
    outer = entry(index, mediaType=OCI_INDEX, platform=platform("amd64"))
    assert opened(renamed(image, {"manifests": [outer]})).digest == image.digest


def test_a_blob_may_be_a_link_inside_the_layout(image):
    path = blob(image)
    path.rename(path.parent.parent / "moved")
    path.symlink_to("../moved")
    assert opened(image).digest == image.digest


def test_a_blob_outside_of_the_layout_is_refused_though_its_digest_is_right(image, tmp_path):
    path = blob(image)
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(AgentError, match="leads out of the layout") as caught:
        opened(image)
    assert caught.value.failure.code is Code.IMAGE_UNSAFE


def test_changed_bytes_are_noticed_before_they_are_parsed(image):
    path = blob(image)
    path.write_bytes(path.read_bytes().replace(b"amd64", b"arm64") + b" ")
    with pytest.raises(AgentError, match=f"blob {image.digest} has the digest sha256:") as caught:
        opened(image)
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH


def test_a_changed_config_is_noticed(image):
    digest = manifest(image)["config"]["digest"]
    blob(image, digest).write_bytes(b"{}")
    with pytest.raises(AgentError, match=f"blob {digest} has the digest") as caught:
        opened(image)
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH


def with_layer(image, **changes):
    found = manifest(image)
    return found | {"layers": [found["layers"][0] | changes, *found["layers"][1:]]}


def with_config(image, **changes):
    found = manifest(image)
    config = json.loads(blob(image, found["config"]["digest"]).read_bytes()) | changes
    return found | {"config": found["config"] | {"digest": put_blob(Path(image.place), json.dumps(config).encode())}}


UNREADABLE_MANIFESTS = [
    (lambda _: b"nonsense", "is not the JSON it should be: Expecting value"),
    (lambda _: b"[" * 100_000, "is not the JSON it should be: nested too deeply"),
    (lambda _: b"\x1f\x8b\xff", "is not the JSON it should be"),
    (lambda _: b"[]", "is not the JSON it should be: the whole: expected an object"),
    (lambda _: {}, "is not the manifest of an image: config: expected an object, found nothing"),
    (lambda image: manifest(image) | {"manifests": []}, "is an index and a manifest at once"),
    (lambda image: manifest(image) | {"mediaType": "text/plain"}, "is of the type 'text/plain', expected application"),
    (lambda image: manifest(image) | {"layers": "all"}, "layers: expected a list, found a string"),
    (lambda image: with_layer(image, digest="md5:1"), "digest: expected sha256: and 64 hex digits, found 'md5:1'"),
    (lambda image: with_layer(image, size=-1), "size: expected 0 to"),
    (lambda image: with_layer(image, mediaType="application/x"), "has a layer of the type 'application/x'"),
    (lambda image: with_layer(image, mediaType="x" + OCI_MANIFEST), "which is not one of an image"),
    (lambda image: manifest(image) | {"layers": manifest(image)["layers"][:1]}, "lists 2 layers, the manifest 1"),
    (lambda image: with_config(image, rootfs=None), "is not the config of an image: rootfs: expected an object"),
    (lambda image: with_config(image, architecture=5), "architecture: expected a string, found a number"),
    (
        lambda image: manifest(image) | {"config": manifest(image)["config"] | {"mediaType": "application/wasm"}},
        "is not of an image: its config is of the type 'application/wasm'",
    ),
    (
        lambda image: {"manifests": [entry(image, platform=platform("s390x")), entry(image)]},
        "has no image for linux/amd64, only linux/s390x, /",
    ),
    (lambda _: {"manifests": []}, "has no image for linux/amd64, only nothing"),
    (lambda _: {"manifests": [1]}, "manifests: expected an object, found a number"),
]


@pytest.mark.parametrize(("document", "message"), UNREADABLE_MANIFESTS, ids=[m for _, m in UNREADABLE_MANIFESTS])
def test_what_is_no_manifest_is_said_with_its_path(image, document, message):
    reference = renamed(image, document(image))
    with pytest.raises(AgentError, match=re.escape(message)) as caught:
        opened(reference)
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE
    assert "/blobs/sha256/" in caught.value.failure.message


def test_an_index_in_an_index_in_an_index_is_not_followed(image):
    reference = image
    for _ in range(3):
        reference = renamed(image, {"manifests": [entry(reference, platform=platform("amd64"))]})
    with pytest.raises(AgentError, match="is not the manifest of an image"):
        opened(reference)


UNREADABLE_PLACES = [
    (lambda place: (place / "oci-layout").unlink(), r"/oci-layout cannot be opened: No such file"),
    (lambda place: (place / "oci-layout").write_text("{}"), r"/oci-layout imageLayoutVersion: expected a string"),
    (
        lambda place: (place / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}'),
        r"/oci-layout is of version '2.0.0', expected '1.0.0'",
    ),
    (lambda place: (place / "index.json").unlink(), r"/index.json cannot be opened: No such file"),
    (lambda place: (place / "index.json").write_text('{"manifests": {}}'), r"/index.json manifests: expected a list"),
    (
        lambda place: ((place / "index.json").unlink(), os.mkfifo(place / "index.json")),
        r"/index.json is not a regular file",
    ),
    (
        lambda place: write_layout(place, [Layer({"other": b""})], tag="other", architecture="x86_64"),
        r"/index.json has 2 images, expected one",
    ),
]


@pytest.mark.parametrize(("damage", "message"), UNREADABLE_PLACES, ids=[m for _, m in UNREADABLE_PLACES])
def test_what_is_no_layout_is_said_with_its_path(image, damage, message):
    damage(Path(image.place))
    with pytest.raises(AgentError, match=message) as caught:
        opened(replace(image, tag="", digest=""))
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_a_layout_that_is_not_there_is_unreadable(image):
    with pytest.raises(AgentError, match="/nowhere/oci-layout cannot be opened: No such file") as caught:
        opened(replace(image, place="/nowhere"))
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_a_tag_nobody_has_is_unreadable(image):
    with pytest.raises(AgentError, match="has no images with the tag 'gone', expected one") as caught:
        opened(replace(image, tag="gone", digest=""))
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_two_manifests_of_one_tag_are_not_chosen_between(image):
    path = Path(image.place) / "index.json"
    index = json.loads(path.read_bytes())
    path.write_text(json.dumps(index | {"manifests": index["manifests"] * 2}))
    with pytest.raises(AgentError, match="has 2 images with the tag 'rt', expected one") as caught:
        opened(replace(image, digest=""))
    assert caught.value.failure.hint == "name the image by its digest"


def test_a_blob_that_is_missing_is_named(image):
    blob(image).unlink()
    with pytest.raises(AgentError, match=f"{blob(image)} is missing: No such file") as caught:
        opened(image)
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_links_in_a_circle_are_no_blob(image):
    path = blob(image)
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(AgentError, match="is missing") as caught:
        opened(image)
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_a_directory_is_no_blob(image):
    digest = "sha256:" + "0" * 64
    blob(image, digest).mkdir()
    with pytest.raises(AgentError, match="is not a regular file"):
        open_blob(Path(image.place), digest)


TOO_LARGE = [
    (lambda image: b" " * (documents.MAX_DOCUMENT + 1), f"has {documents.MAX_DOCUMENT + 1} bytes, more than"),
    (lambda image: with_layer(image, size=documents.MAX_LAYER + 1), f"has a layer of {documents.MAX_LAYER + 1} bytes"),
    (lambda image: manifest(image) | {"layers": manifest(image)["layers"] * 257}, "has 514 layers, more than 512"),
]


@pytest.mark.parametrize(("document", "message"), TOO_LARGE, ids=[m for _, m in TOO_LARGE])
def test_sizes_and_counts_are_bounded(image, document, message):
    with pytest.raises(AgentError, match=message) as caught:
        opened(renamed(image, document(image)))
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE
