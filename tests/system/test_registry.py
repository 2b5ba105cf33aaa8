"""An image comes out of a real registry whole, by the host's own settings, or is refused by a name that tells why."""

import argparse
import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.cli import check_image
from mcd_rt.content import cache
from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.link import TRIES
from mcd_rt.content.resolve import resolve_tag
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Layer, write_layout
from tests.leaks import leaves_nothing
from tests.system.conftest import ANYTHING, LABELS, OS, Vendor, write_host
from tests.system.patience import PATIENCE
from tests.system.registry import (
    PASSWORD,
    USER,
    Registry,
    Wire,
    run_liar,
    run_registry,
    run_token_server,
    trust_authority,
    write_authfile,
)
from tests.system.rpms import KERNEL_RELEASE, PACKAGES, Signer, build_rpms

NAMES = tuple(f"kernel-rt-{name}" for name in PACKAGES)
SECRET = f"{USER}:{PASSWORD}"
PROMPT = ContentSettings(idle_timeout=PATIENCE, fetch_timeout=PATIENCE)
AUTHFILE = "/var/lib/kubelet/config.json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def fetched(
    root: Path,
    image: ImageReference,
    settings: ContentSettings = PROMPT,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Content:
    return asyncio.run(
        fetch_content(HostEffects(), settings, HostPaths(root), image, NAMES, on_progress, architecture="x86_64")
    )


def check_whole(content: Content, root: Path, vendor: Vendor) -> None:
    """The very files of the vendor are in the cache, and were judged."""
    assert {f"{package.nevra}.rpm" for package in content.packages} == set(vendor.files)
    assert content.trusted_by is Judge.RPMKEYS
    for package in content.packages:
        data = (cache.entry_of(HostPaths(root), content.digest) / package.file).read_bytes()
        assert data == vendor.files[f"{package.nevra}.rpm"]
        assert package.kernel_release == KERNEL_RELEASE


def refused(
    root: Path,
    image: ImageReference,
    code: Code,
    message: str,
    settings: ContentSettings = PROMPT,
    wire: Wire | None = None,
) -> None:
    """It fails with this code, and leaves nothing; a wire has descriptors of its own in this process."""
    with nullcontext() if wire else leaves_nothing(), pytest.raises(AgentError) as caught:
        fetched(root, image, settings)
    failure = caught.value.failure
    assert (failure.code, message in failure.message) == (code, True), str(failure)
    assert failure.hint
    assert PASSWORD not in str(failure)
    assert list((root / "var/cache/mcd-rt").iterdir()) == []


@pytest.fixture
def host(tmp_path: Path, vendor: Vendor, plain: Registry) -> Path:
    return write_host(tmp_path / "host", vendor, insecure=(plain.host,))


# What is read


def test_only_the_layer_with_the_packages_is_read(host, pushed, vendor, plain):
    wire = Wire(plain.port, lambda *_: "")
    with wire:
        (host / "etc/containers/registries.conf").write_text(f'[[registry]]\nlocation="{wire.host}"\ninsecure=true\n')
        image = replace(pushed, place=pushed.place.replace(plain.host, wire.host))
        progress = []
        content = fetched(host, image, on_progress=lambda *said: progress.append(said))
    check_whole(content, host, vendor)
    assert (content.way, content.way_reason) == (Way.PROXY, "the policy accepts any image")
    layer = newest_layer(plain, pushed).stat().st_size
    assert layer < wire.carried < layer + 30_000 < len(OS)
    assert progress[0][0] == 0
    assert progress[-1][0] == progress[-1][1]


def as_docker(plain: Registry, layout: ImageReference) -> str:
    """The image with a manifest of Docker's schema 2."""
    return plain.push(f"oci:{layout.place}:{layout.tag}", "ocp/docker:rt", "--format", "v2s2")


def test_a_manifest_of_docker_is_read_as_it_is(host, plain, layout, pushed, vendor):
    digest = as_docker(plain, layout)
    assert digest != layout.digest
    content = fetched(host, replace(pushed, place=f"{plain.host}/ocp/docker", digest=digest))
    check_whole(content, host, vendor)
    assert content.digest == digest


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_gives_the_image_for_the_machine(host, plain, layout, pushed, vendor, docker):
    repository = "ocp/docker" if docker else "ocp/os"
    digest = as_docker(plain, layout) if docker else layout.digest
    manifest = plain.blob(digest).read_bytes()
    entries = [
        {"mediaType": json.loads(manifest)["mediaType"], "digest": digest, "size": len(manifest)}
        | {"platform": {"os": "linux", "architecture": architecture}}
        for architecture in ("arm64", "amd64")
    ]
    kind = DOCKER_INDEX if docker else OCI_INDEX
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    pinned = plain.put_manifest(f"{repository}:all", index, kind)
    content = fetched(host, replace(pushed, place=f"{plain.host}/{repository}", digest=pinned))
    check_whole(content, host, vendor)
    assert content.digest == pinned
    refused_index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries[:1]}).encode()
    other = plain.put_manifest(f"{repository}:arm", refused_index, kind)
    with pytest.raises(AgentError, match=r"linux/amd64|architecture"):
        fetched(host, replace(pushed, place=f"{plain.host}/{repository}", digest=other))


def resolved(root: Path, image: ImageReference) -> str:
    settings = replace(PROMPT, allow_tags=True)
    with leaves_nothing():
        digest = asyncio.run(resolve_tag(HostEffects(), settings, HostPaths(root), image, architecture="x86_64"))
    assert not (root / "var/cache").exists()
    return digest


def test_a_tag_means_what_it_means_now(tmp_path, own, vendor):
    registry, root, image = own
    tag = replace(image, tag="rt", digest="")
    assert resolved(root, tag) == image.digest
    layers = [Layer({"srv/repo/objects": b"a newer OS"}), Layer(vendor.files)]
    newer = write_layout(tmp_path / "newer", layers, tag="rt", architecture="x86_64")
    assert registry.push(f"oci:{newer.place}:{newer.tag}", "ocp/os:rt") == newer.digest != image.digest
    assert resolved(root, tag) == newer.digest
    assert resolved(root, image) == image.digest


def test_a_tag_is_resolved_without_its_layers(own):
    registry, root, image = own
    newest_layer(registry, image).unlink()
    assert resolved(root, replace(image, tag="rt", digest="")) == image.digest


@pytest.mark.parametrize(
    ("tag", "repository", "message"), [("no-such", "ocp/os", "manifest unknown"), ("rt", "no/such", "unknown")]
)
def test_a_tag_nobody_has_is_not_found(own, tag, repository, message):
    registry, root, image = own
    with pytest.raises(AgentError, match=message) as caught:
        resolved(root, replace(image, place=f"{registry.host}/{repository}", tag=tag, digest=""))
    assert caught.value.failure.code is Code.IMAGE_NOT_FOUND


def test_the_tag_of_an_index_means_the_image_for_the_machine(own, layout):
    registry, root, image = own
    manifest = registry.blob(layout.digest).read_bytes()
    entry = {"mediaType": json.loads(manifest)["mediaType"], "digest": layout.digest, "size": len(manifest)}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    registry.put_manifest("ocp/os:all", index, OCI_INDEX)
    assert resolved(root, replace(image, tag="all", digest="")) == layout.digest


def test_a_mirror_serves_what_the_node_config_names(host, plain, pushed, vendor):
    (host / "etc/containers/registries.conf").write_text(
        '[[registry]]\nprefix = "registry.example/release"\nlocation = "registry.example/release"\n'
        "mirror-by-digest-only = true\n"
        f'[[registry.mirror]]\nlocation = "{plain.host}/ocp"\ninsecure = true\n'
    )
    check_whole(fetched(host, replace(pushed, place="registry.example/release/os")), host, vendor)


# Who may read it, and from whom


@pytest.fixture(scope="module")
def closed(tmp_path_factory, authority, layout):
    """A registry with TLS of its own authority and basic authentication."""
    with run_registry(tmp_path_factory.mktemp("closed"), authority=authority, basic=True) as registry:
        registry.push(f"oci:{layout.place}:{layout.tag}", "ocp/os:rt")
        yield registry


def test_tls_and_a_pull_secret_are_the_hosts(tmp_path, vendor, authority, closed, pushed):
    root = write_host(tmp_path / "host", vendor)
    trust_authority(root, closed.host, authority)
    write_authfile(root / AUTHFILE.lstrip("/"), closed.host, SECRET)
    check_whole(fetched(root, replace(pushed, place=f"{closed.host}/ocp/os")), root, vendor)


def test_the_first_pull_secret_that_is_there_is_taken(tmp_path, vendor, authority, closed, pushed, monkeypatch):
    root = write_host(tmp_path / "host", vendor)
    trust_authority(root, closed.host, authority)
    write_authfile(root / AUTHFILE.lstrip("/"), closed.host, "node:old")
    write_authfile(root / "run/ostree/auth.json", closed.host, "node:older")
    write_authfile(tmp_path / "credentials/pull-secret", closed.host, SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    check_whole(fetched(root, replace(pushed, place=f"{closed.host}/ocp/os")), root, vendor)


@pytest.mark.parametrize("secret", ["", f"{USER}:wrong {PASSWORD}"])
def test_without_the_right_secret_it_is_unauthorized(tmp_path, vendor, authority, closed, pushed, secret):
    root = write_host(tmp_path / "host", vendor)
    trust_authority(root, closed.host, authority)
    if secret:
        write_authfile(root / AUTHFILE.lstrip("/"), closed.host, secret)
    refused(root, replace(pushed, place=f"{closed.host}/ocp/os"), Code.IMAGE_UNAUTHORIZED, "unauthorized")


def test_an_unknown_authority_is_not_trusted(tmp_path, vendor, closed, pushed):
    root = write_host(tmp_path / "host", vendor)
    write_authfile(root / AUTHFILE.lstrip("/"), closed.host, SECRET)
    refused(root, replace(pushed, place=f"{closed.host}/ocp/os"), Code.IMAGE_UNTRUSTED_REGISTRY, "x509")


def test_a_registry_without_tls_is_not_trusted_unless_the_host_says_so(tmp_path, vendor, pushed):
    root = write_host(tmp_path / "host", vendor)
    refused(root, pushed, Code.IMAGE_UNTRUSTED_REGISTRY, "server gave HTTP response to HTTPS client")


def test_a_registry_that_wants_tokens_is_given_them(tmp_path, vendor, authority, layout, pushed):
    with run_token_server(authority) as tokens:
        registry = run_registry(tmp_path / "registry", authority=authority, token_realm=tokens.realm)
        with registry as opened:
            replace(opened, secret=SECRET).push(f"oci:{layout.place}:{layout.tag}", "ocp/os:rt")
            root = write_host(tmp_path / "host", vendor)
            trust_authority(root, opened.host, authority)
            image = replace(pushed, place=f"{opened.host}/ocp/os")
            refused(root, image, Code.IMAGE_UNAUTHORIZED, "unauthorized")
            write_authfile(root / AUTHFILE.lstrip("/"), opened.host, SECRET)
            tokens.asked.clear()
            check_whole(fetched(root, image), root, vendor)
            assert set(tokens.asked) == {"repository:ocp/os:pull"}


# What is wrong with the image


def test_a_digest_nobody_has_is_not_found(host, pushed):
    refused(host, replace(pushed, digest="sha256:" + "0" * 64), Code.IMAGE_NOT_FOUND, "manifest unknown")


def test_a_repository_nobody_has_is_not_found(host, pushed, plain):
    refused(host, replace(pushed, place=f"{plain.host}/no/such"), Code.IMAGE_NOT_FOUND, "unknown")


def test_a_registry_that_is_not_there_is_tried_again(host, pushed):
    with Wire(1, lambda *_: "") as wire:
        port = wire.port
    (host / "etc/containers/registries.conf").write_text(f'[[registry]]\nlocation="127.0.0.1:{port}"\ninsecure=true\n')
    refused(host, replace(pushed, place=f"127.0.0.1:{port}/ocp/os"), Code.IMAGE_UNREADABLE, "connection refused")


@pytest.fixture
def own(tmp_path, vendor, layout, pushed):
    """A registry of the test's own, to be damaged; with a host that reads it, and the image."""
    with run_registry(tmp_path / "own") as registry:
        registry.push(f"oci:{layout.place}:{layout.tag}", "ocp/os:rt")
        root = write_host(tmp_path / "host", vendor, insecure=(registry.host,))
        yield registry, root, replace(pushed, place=f"{registry.host}/ocp/os")


def newest_layer(registry: Registry, image: ImageReference) -> Path:
    manifest = json.loads(registry.blob(image.digest).read_bytes())
    return registry.blob(manifest["layers"][-1]["digest"])


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:-500],
        lambda data: data + b"x",
    ],
)
def test_a_corrupt_layer_is_not_what_was_pinned(own, damage):
    registry, root, image = own
    layer = newest_layer(registry, image)
    layer.write_bytes(damage(layer.read_bytes()))
    refused(root, image, Code.IMAGE_DIGEST_MISMATCH, "sha256:")


def test_another_manifest_under_the_digest_is_noticed(own):
    registry, root, image = own
    manifest = registry.blob(image.digest)
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(AgentError) as caught:
        fetched(root, image)
    assert caught.value.failure.code in (Code.IMAGE_DIGEST_MISMATCH, Code.IMAGE_UNREADABLE, Code.IMAGE_NOT_FOUND)


@pytest.mark.parametrize(
    ("lie", "message"), [("endless", "is longer than"), ("long", "is longer than"), ("short", "corrupted blob")]
)
def test_a_registry_that_lies_about_lengths_is_believed_nothing(tmp_path, vendor, plain, pushed, lie, message):
    layer = json.loads(plain.blob(pushed.digest).read_bytes())["layers"][-1]["digest"]
    with run_liar(plain, layer, lie) as host:
        root = write_host(tmp_path / "host", vendor, insecure=(host,))
        image = replace(pushed, place=f"{host}/ocp/os")
        with pytest.raises(AgentError, match=message) as caught:
            fetched(root, image)
        assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH
    assert list((root / "var/cache/mcd-rt").iterdir()) == []


# What is wrong with the way to it


def behind(own: tuple[Registry, Path, ImageReference], wire: Wire) -> tuple[Path, ImageReference]:
    """The same host and image, with the wire in between."""
    registry, root, image = own
    (root / "etc/containers/registries.conf").write_text(f'[[registry]]\nlocation="{wire.host}"\ninsecure=true\n')
    return root, replace(image, place=image.place.replace(registry.host, wire.host))


def test_a_connection_that_breaks_off_is_taken_up_again_by_the_layer(own, vendor):
    broken = []

    def once(number: int, taken: int) -> str:
        if taken > 200_000 and not broken:
            broken.append(number)
            return "cut"
        return ""

    with Wire(own[0].port, once) as wire:
        root, image = behind(own, wire)
        check_whole(fetched(root, image), root, vendor)
        assert broken


def test_a_connection_that_always_breaks_off_is_given_up_and_tried_again_later(own):
    with Wire(own[0].port, lambda _number, taken: "cut" if taken > 200_000 else "") as wire:
        root, image = behind(own, wire)
        refused(root, image, Code.IMAGE_UNREADABLE, "EOF", PROMPT, wire)
        assert wire.connections >= TRIES


@pytest.mark.parametrize("after", [0, 200_000])
def test_a_registry_that_falls_silent_is_not_waited_for(own, after):
    with Wire(own[0].port, lambda _number, taken: "stall" if taken > after else "") as wire:
        root, image = behind(own, wire)
        refused(
            root,
            image,
            Code.IMAGE_UNREADABLE,
            "nothing came for 3 s",
            replace(PROMPT, idle_timeout=4.0),
            wire,
        )


# What the trust policy of the host demands


def demanding(root: Path, host: str, signer: Signer, *, signatures: Path | None = None) -> None:
    """A policy that wants images of this registry signed; where the signatures are."""
    demand = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(signer.public)}
    policy = {**ANYTHING, "transports": {"docker": {host: [demand]}}}
    (root / "etc/containers/policy.json").write_text(json.dumps(policy))
    lookaside = {"docker": {host: {"sigstore": f"file://{signatures}"}}} if signatures else {}
    (root / "etc/containers/registries.d/tests.yaml").write_text(json.dumps(lookaside))


def sign(plain: Registry, image: ImageReference, signer: Signer, store: Path) -> None:
    """Sign a manifest as release pipelines do."""
    signature = store / f"ocp/os@{image.digest.replace(':', '=')}" / "signature-1"
    signature.parent.mkdir(parents=True)
    identity = f"{image.place}:rt"
    order = ["skopeo", "standalone-sign", str(plain.blob(image.digest)), identity, signer.name, "-o", str(signature)]
    subprocess.run(order, check=True, capture_output=True, env=os.environ | {"GNUPGHOME": str(signer.home)})


def test_a_signed_image_is_taken_by_a_policy_that_wants_signatures(host, plain, pushed, vendor, tmp_path):
    sign(plain, pushed, vendor.signer, tmp_path / "signatures")
    demanding(host, plain.host, vendor.signer, signatures=tmp_path / "signatures")
    content = fetched(host, pushed)
    check_whole(content, host, vendor)
    enforcing = not content.way_reason.startswith("the policy demands something of this image, and the proxy of")
    assert content.way is (Way.PROXY if enforcing else Way.COPY)
    assert [path.name for path in (host / "var/cache/mcd-rt").iterdir()] == [pushed.digest.removeprefix("sha256:")]


def test_an_unsigned_image_is_rejected_by_a_policy_that_wants_signatures(host, plain, pushed, vendor):
    demanding(host, plain.host, vendor.signer)
    refused(host, pushed, Code.IMAGE_REJECTED_BY_POLICY, "signature")


def test_a_policy_that_rejects_everything_is_obeyed(host, pushed):
    (host / "etc/containers/policy.json").write_text('{"default": [{"type": "reject"}]}')
    refused(host, pushed, Code.IMAGE_REJECTED_BY_POLICY, "rejected by policy")


def test_without_a_policy_nothing_is_taken(host, pushed):
    (host / "etc/containers/policy.json").unlink()
    refused(host, pushed, Code.IMAGE_REJECTED_BY_POLICY, "trust policy")


# Who signed the packages


def test_packages_of_another_vendor_are_refused(tmp_path, plain, pushed, vendor):
    root = write_host(tmp_path / "host", vendor, insecure=(plain.host,))
    write_keys(root)
    (root / "etc/pki/rpm-gpg/RPM-GPG-KEY-vendor").unlink()
    refused(root, pushed, Code.PACKAGE_SIGNATURE_BAD, "rpmkeys says 'Header V4 RSA/SHA512 Signature, key ID")


def test_unsigned_packages_are_refused(host, plain, vendor, tmp_path):
    unsigned = build_rpms(tmp_path / "unsigned", {})
    layers = [Layer({path.name: path.read_bytes() for path in unsigned})]
    image = write_layout(tmp_path / "layout", layers, tag="unsigned", architecture="x86_64")
    digest = plain.push(f"oci:{image.place}:{image.tag}", "ocp/unsigned:rt")
    reference = ImageReference(f"{plain.host}/ocp/unsigned", "", digest, layout=False)
    refused(host, reference, Code.PACKAGE_UNSIGNED, "has no signature of its header")


def test_check_image_says_what_the_agent_would_find(host, pushed, vendor, monkeypatch, capfd):
    monkeypatch.setenv("MCD_RT_ROOT", str(host))
    parser = argparse.ArgumentParser()
    check_image.add_parser(parser.add_subparsers())
    for image in (str(pushed), f"{pushed.place}:rt"):
        arguments = parser.parse_args(["check-image", "--json", "--architecture", "x86_64", image])
        assert arguments.run(arguments) == 0
        report = json.loads(capfd.readouterr().out)
        assert {f"{package['nevra']}.rpm" for package in report["packages"]} == set(vendor.files)
        assert (report["digest"], report["kernel_release"]) == (pushed.digest, KERNEL_RELEASE)
        assert (report["version"], report["commit"]) == (LABELS["version"], LABELS["com.coreos.ostree-commit"])
        assert (report["trusted_by"], report["way"]) == ("rpmkeys", "proxy")
    assert not (host / "var/cache").exists()
