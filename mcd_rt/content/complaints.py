"""What skopeo complains of, sorted by whether it can pass. Pure.

It has no codes for that before protocol 0.2.8, only sentences: those of containers/image, the distribution
specification's error codes in them, and those of Go's TLS. What is not known here is taken for something
that passes: it is tried again.
"""

import re

from mcd_rt.content.fields import printable
from mcd_rt.errors import AgentError, Code

_PASSING = (
    "connection refused",
    "connection reset",
    "i/o timeout",
    "timeout exceeded",
    "deadline exceeded",
    "no such host",
    "network is unreachable",
    "no route to host",
    "unexpected eof",
    "toomanyrequests",
    "too many requests",
    "status: 5",
    "status code 5",
    "from registry: 5",
    "from registry 5",
    "received unexpected http status: 5",
)
_LASTING = (
    (
        Code.IMAGE_REJECTED_BY_POLICY,
        "sign the image, or correct /etc/containers/policy.json",
        (
            "source image rejected",
            "rejected by policy",
            "signature was required",
            "signature verification failed",
            "trust policy",
            "invalid gpg signature",
        ),
    ),
    (
        Code.IMAGE_UNTRUSTED_REGISTRY,
        "put its certificate authority into /etc/containers/certs.d or the trust store of the host",
        ("x509:", "failed to verify certificate", "server gave http response to https client", "tls: "),
    ),
    (
        Code.IMAGE_UNAUTHORIZED,
        "look at the pull secret: [content] authfile says where it is looked for",
        (
            "unauthorized",
            "authentication required",
            "access to the resource is denied",
            "status code from registry 403",
            "status code from registry 401",
            "status code 403",
            "status code 401",
            "invalid username/password",
            "denied:",
        ),
    ),
    (
        Code.IMAGE_NOT_FOUND,
        "push the image, or name one that is there",
        ("manifest unknown", "name unknown", "repository name not known", "status code from registry 404", "not found"),
    ),
    (
        Code.IMAGE_DIGEST_MISMATCH,
        "the registry serves something else than it says: push the image again",
        ("does not match provided manifest digest", "corrupted blob", "digest did not match", "does not match digest"),
    ),
)
_LOG_LINE = re.compile(r'^time="[^"]*" level=\w+ msg="(.*)"$')
_QUERY = re.compile(r"\?[^\s\"']+")


def failure_of(complaint: str, image: str) -> AgentError:
    """The error for what skopeo said about an image; the longest-lived cause counts only if none can pass.

    Codes: ``image-unauthorized``, ``image-not-found``, ``image-untrusted-registry``,
    ``image-rejected-by-policy``, ``image-digest-mismatch``, else ``image-unreadable``. Queries of addresses
    are left out of the message: registries sign redirections with them.
    """
    sentence = _sentence(complaint)
    found = sentence.lower()
    if not any(word in found for word in _PASSING):
        for code, hint, words in _LASTING:
            if any(word in found for word in words):
                return AgentError(code, f"{image}: {sentence}", hint)
    return AgentError(
        Code.IMAGE_UNREADABLE, f"{image}: {sentence}", "look at the registry and the network; it is tried again"
    )


def _sentence(complaint: str) -> str:
    lines = complaint.strip().splitlines()
    last = lines[-1].strip() if lines else "skopeo failed and does not say why"
    match = _LOG_LINE.match(last)
    text = match[1].replace('\\"', '"') if match else last
    return printable(_QUERY.sub("?...", text), 512)
