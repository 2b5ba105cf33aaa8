"""A policy accepts anything of an image only if it says so for the narrowest scope the image is in."""

import json

import pytest

from mcd_rt.content.policy import accepts_anything
from mcd_rt.model.image import ImageReference

ANY = [{"type": "insecureAcceptAnything"}]
SIGNED = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]
DIGEST = "sha256:" + "a" * 64
IMAGE = ImageReference("registry.example:5000/ocp/os", "", DIGEST, layout=False)


def policy(default: object = SIGNED, **scopes: object) -> bytes:
    return json.dumps({"default": default, "transports": {"docker": scopes, "oci": {"": ANY}}}).encode()


ACCEPTING = [
    policy(ANY),
    json.dumps({"default": ANY}).encode(),
    json.dumps({"default": ANY, "transports": {}}).encode(),
    policy(**{"": ANY}),
    policy(**{"registry.example:5000": ANY}),
    policy(**{"registry.example:5000/ocp": ANY, "registry.example:5000": SIGNED}),
    policy(**{"registry.example:5000/ocp/os": ANY, "registry.example:5000/ocp": SIGNED}),
    policy(**{f"registry.example:5000/ocp/os@{DIGEST}": ANY, "registry.example:5000/ocp/os": SIGNED}),
    policy(ANY, **{"registry.example": SIGNED, "registry.example:5000/oc": SIGNED, "*.other.example": SIGNED}),
    policy(ANY, **{"registry.example:5000/ocp/os@sha256:" + "b" * 64: SIGNED}),
]
DEMANDING = [
    policy(),
    policy([{"type": "reject"}]),
    policy([*ANY, *SIGNED]),
    policy([]),
    policy([{"type": "insecureAcceptAnything", "more": 1}]),
    policy(**{"*.example": ANY}),
    policy(ANY, **{"": SIGNED}),
    policy(ANY, **{"registry.example:5000": SIGNED}),
    policy(ANY, **{"registry.example:5000/ocp": SIGNED, "registry.example:5000": ANY}),
    policy(ANY, **{f"registry.example:5000/ocp/os@{DIGEST}": SIGNED, "registry.example:5000/ocp/os": ANY}),
    policy(ANY, **{"*.example": SIGNED}),
]
DAMAGED = [b"", b"[]", b"{}", b'{"default": {}}', b'{"default": [], "transports": []}', b'{"default": [1]}', b"\xff"]


@pytest.mark.parametrize("text", ACCEPTING)
def test_what_accepts_anything(text):
    assert accepts_anything(text, IMAGE)


@pytest.mark.parametrize("text", DEMANDING)
def test_what_demands_something(text):
    assert not accepts_anything(text, IMAGE)


@pytest.mark.parametrize("text", DAMAGED)
def test_what_is_no_policy(text):
    with pytest.raises(ValueError, match=r"expected|Expecting|decode"):
        accepts_anything(text, IMAGE)


@pytest.mark.parametrize(
    ("place", "scope"),
    [
        ("ubuntu", "docker.io/library/ubuntu"),
        ("bitnami/redis", "docker.io/bitnami"),
        ("localhost/x", "localhost"),
        ("host:1/x", "host:1"),
    ],
)
def test_the_host_that_is_left_out_is_that_of_docker(place, scope):
    image = ImageReference(place, "", DIGEST, layout=False)
    assert accepts_anything(policy(**{scope: ANY}), image)
    assert not accepts_anything(policy(ANY, **{scope: SIGNED}), image)


def test_a_tag_is_a_scope_and_none_means_latest():
    tagged = ImageReference("registry.example/os", "4.4", "", layout=False)
    assert accepts_anything(policy(**{"registry.example/os:4.4": ANY}), tagged)
    untagged = ImageReference("registry.example/os", "", "", layout=False)
    assert accepts_anything(policy(**{"registry.example/os:latest": ANY}), untagged)
