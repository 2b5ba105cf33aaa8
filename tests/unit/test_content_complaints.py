"""What skopeo says is sorted by whether it can pass; the sentences are those of versions 1.9 to 1.18."""

import pytest

from mcd_rt.content.complaints import failure_of
from mcd_rt.errors import Code

IMAGE = "registry.example/os@sha256:0"
KNOWN = [
    (Code.IMAGE_UNAUTHORIZED, "reading manifest sha256:0 in r/os: unauthorized: authentication required"),
    (Code.IMAGE_UNAUTHORIZED, "unable to retrieve auth token: invalid username/password: unauthorized: no"),
    (Code.IMAGE_UNAUTHORIZED, "requested access to the resource is denied"),
    (Code.IMAGE_UNAUTHORIZED, "Requesting bearer token: invalid status code from registry 403 (Forbidden)"),
    (Code.IMAGE_NOT_FOUND, "reading manifest sha256:0 in r/os: manifest unknown: manifest unknown"),
    (Code.IMAGE_NOT_FOUND, "name unknown: repository name not known to registry"),
    (Code.IMAGE_NOT_FOUND, "invalid status code from registry 404 (Not Found)"),
    (
        Code.IMAGE_UNTRUSTED_REGISTRY,
        'pinging container registry r: Get "https://r/v2/": x509: certificate signed by unknown authority',
    ),
    (Code.IMAGE_UNTRUSTED_REGISTRY, "tls: failed to verify certificate: x509: certificate has expired"),
    (Code.IMAGE_UNTRUSTED_REGISTRY, "http: server gave HTTP response to HTTPS client"),
    (Code.IMAGE_REJECTED_BY_POLICY, "Source image rejected: A signature was required, but no signature exists"),
    (Code.IMAGE_REJECTED_BY_POLICY, "Running image docker://r/os is rejected by policy."),
    (Code.IMAGE_REJECTED_BY_POLICY, "cryptographic signature verification failed: invalid signature"),
    (Code.IMAGE_REJECTED_BY_POLICY, "Error loading trust policy: open /etc/containers/policy.json: no such file"),
    (Code.IMAGE_DIGEST_MISMATCH, "corrupted blob, expecting sha256:0"),
    (Code.IMAGE_UNREADABLE, 'Get "https://r/v2/": dial tcp 192.0.2.1:443: connect: connection refused'),
    (Code.IMAGE_UNREADABLE, "dial tcp: lookup registry.example: no such host"),
    (Code.IMAGE_UNREADABLE, "read tcp 192.0.2.1:443: connection reset by peer"),
    (Code.IMAGE_UNREADABLE, "unexpected EOF"),
    (Code.IMAGE_UNREADABLE, "net/http: TLS handshake timeout: i/o timeout"),
    (Code.IMAGE_UNREADABLE, "received unexpected HTTP status: 503 Service Unavailable"),
    (Code.IMAGE_UNREADABLE, "toomanyrequests: rate limit"),
    (Code.IMAGE_UNREADABLE, "something nobody knows"),
    (
        Code.IMAGE_UNREADABLE,
        "(Mirrors also failed: [m/os: dial tcp: connection refused]): r/os: unauthorized: authentication required",
    ),
]


@pytest.mark.parametrize(("code", "sentence"), KNOWN, ids=[sentence[:60] for _, sentence in KNOWN])
def test_a_complaint_has_its_code(code, sentence):
    error = failure_of(sentence, IMAGE)
    assert error.failure.code is code
    assert error.failure.message == f"{IMAGE}: {sentence}"
    assert error.failure.hint


def test_of_a_log_the_last_line_counts_without_its_trimmings():
    log = 'time="x" level=warning msg="first"\ntime="y" level=fatal msg="reading \\"r\\": manifest unknown"\n'
    assert failure_of(log, IMAGE).failure.message == f'{IMAGE}: reading "r": manifest unknown'


def test_addresses_are_told_without_what_signs_them():
    message = failure_of('Get "https://s3.example/b?X-Signature=abc": unexpected EOF', IMAGE).failure.message
    assert message == f'{IMAGE}: Get "https://s3.example/b?...": unexpected EOF'


def test_silence_and_control_characters_are_told_as_such():
    assert "does not say why" in failure_of("", IMAGE).failure.message
    assert "\x1b" not in failure_of("\x1b[31mred", IMAGE).failure.message
    assert len(failure_of("x" * 10_000, IMAGE).failure.message) < 700
