"""What looks like a secret goes out of a text; what an operator needs stays in it."""

import base64
import io
import json
import tarfile
import time

import pytest

from mcd_rt.errors import AgentError, Code
from mcd_rt.report.codes import load_texts
from mcd_rt.report.redact import REDACTED, redact
from mcd_rt.report.supportarchive import Part, pack, write_archive
from tests.effects_double import EffectsDouble

SECRET = "Zx9hunter2Qq"


@pytest.mark.parametrize(
    "text",
    [
        "https://user:{}@proxy.example:3128/",
        "docker://{}@registry.example/os",
        "rd.luks.key={} rw",
        "rd.iscsi.password={}",
        "inst.sshpw={}",
        'AWS_SECRET_ACCESS_KEY="{}"',
        "https://registry.example/v2/?token={}&x=1",
        '{{"auths": {{"r": {{"auth": "{}"}}}}}}',
        '{{"password" : "{}"}}',
        r"{{\"token\": \"{}\"}}",
        "  passwordHash: {} and more",
        "- client-secret: {}",
        "Authorization: Bearer {}",
        "authorization: basic {}",
        "root:$6$salt${}:19000::",
        "$y$j9T$abc${}",
        "eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMII{}\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMII\n{}",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ{}\n-----END PGP PRIVATE KEY BLOCK-----",
        "https://user:p@ss,{}@proxy.example:3128/",
        "rd.iscsi.password=a,{}",
        'secret = "{}"',
        "password: {}",
        "password: correct horse {}",
        "password:{}",
        "X-Api-Key: {}",
        "Proxy-Authorization: Negotiate {}",
        "Set-Cookie: session={}",
        "client_secret: '{}'",
        "AWS_SECRET_ACCESS_KEY: {}",
        "aws_access_key_id: {}",
        "auth: {}",
        "the password is {}",
        "--token {}",
        "oc login --token={} --server=https://api",
        "--password {}",
        "skopeo copy --src-creds core:{} a b",
        "curl -u core:{} https://registry.example",
        "curl -ucore:{} https://registry.example",
        "curl --user 'core:{}' https://registry.example",
        "sshpass -p {} ssh core@host",
        "mysql -h db -uroot -p{}",
        "machine registry.example login core password {}",
        "sha256~{}abcdefghijklmn",
        "ghp_{}abcdefghijklmn",
        "config-invalid: /x.yaml:2:9: not YAML: while parsing a flow sequence, did not find ']', found ': {}'",
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "{}",
        "2026-11-24T03:00:00+0000 node mcd-rt[1]: {}",
        "2026-11-24T03:00:00+0000 node mcd-rt[1]: 50-drain: {}",
        "retrying: hook-failed: /etc/mcd-rt/pre-reboot.d/50-drain ended with 1: {}",
    ],
)
def test_a_secret_goes_wherever_it_stands(text, place):
    told = redact(place.format(text.format(SECRET)))
    assert SECRET not in told
    assert REDACTED in told


DOCKER_CONFIG = json.dumps({"auths": {"registry.example": {"auth": "core:" + SECRET}}}).encode()


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        base64.b64encode(DOCKER_CONFIG).decode(),
        base64.b64encode(json.dumps(json.loads(DOCKER_CONFIG), indent=1).encode()).decode(),
    ],
)
def test_what_says_itself_what_it_is_goes_without_a_name(secret):
    told = redact(f"2026-11-24T03:00:00 node mcd-rt[1]: 50-drain: {secret} was not taken")
    assert told == f"2026-11-24T03:00:00 node mcd-rt[1]: 50-drain: {REDACTED} was not taken"


@pytest.mark.parametrize(
    "text",
    [
        "root=UUID=6b1ec5d8 rw isolcpus=2-7 nohz_full=2-7 ignition.platform.id=metal",
        "oci:/var/x@sha256:" + "0" * 64,
        "docker://registry.example/os@sha256:" + "0" * 64,
        'content.keys = ["/etc/pki/rpm-gpg"]  # default',
        'content.authfile = ["${CREDENTIALS_DIRECTORY}/pull-secret", "/run/ostree/auth.json"]  # default',
        'mcd_rt_active_failure{code="package-signature-bad"} 1.0',
        json.dumps({"trusted_by": "rpmkeys", "kernel_arguments": ["a=b"]}),
        "image-unauthorized: look at the pull secret: [content] authfile says where it is looked for",
        "unable to retrieve auth token: invalid username/password: unauthorized: authentication required",
        "requesting bearer token: received unexpected HTTP status: 503 Service Unavailable",
        "journalctl -u mcd-rt: it has more; skopeo inspect --authfile /run/ostree/auth.json docker://x",
        "Warning: the token is not there, and the password was wrong",
        "mkdir -p /run/x; curl -fsS https://x -o /tmp/y",
        "2026-11-24T03:00:00 node mcd-rt[1]: staged: realtime is staged (rhcos-b.0), locked until a reboot of ours",
    ],
)
def test_what_is_none_stays(text):
    assert redact(text) == text


def test_the_texts_of_the_codes_stay_as_they_are():
    for text in load_texts().values():
        for words in (text.means, text.means_not, text.then, *text.steps):
            assert redact(words) == words


@pytest.mark.parametrize(
    "piece", ["a", "password", "a.", "key-", '"key"', "://", "-----BEGIN PRIVATE KEY-----", "mysql ", "-u a", "--user"]
)
def test_long_nonsense_takes_no_long_time(piece):
    began = time.process_time()
    redact(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 5


def test_an_archive_is_what_was_put_in_with_nothing_to_be_read_by_others(tmp_path):
    place = tmp_path / "x.tar.gz"
    write_archive(EffectsDouble(), place, pack([Part("a.txt", f"password={SECRET}\n"), Part("b.txt", "b\udcff")], 7.0))
    assert place.stat().st_mode & 0o777 == 0o600
    with tarfile.open(fileobj=io.BytesIO(place.read_bytes())) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == ["mcd-rt-collect/a.txt", "mcd-rt-collect/b.txt"]
        assert {(member.mtime, member.mode) for member in members} == {(7, 0o600)}
        assert archive.extractfile(members[0]).read() == b"password=REDACTED\n"


def test_an_archive_replaces_nothing(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(AgentError) as caught:
        write_archive(EffectsDouble(), tmp_path / "x", b"")
    assert caught.value.failure.code is Code.WRITE_FAILED
    assert "--output" in caught.value.failure.hint
    assert (tmp_path / "x").read_text() == "mine"
