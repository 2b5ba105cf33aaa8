"""Take what looks like a secret out of a text: the last net below a choice of what is told at all. Pure."""

import re

REDACTED = "REDACTED"

_WORDS = r"passw(?:or)?d|passphrase|passwd|pwhash|secret|token|api[_\-]?key|credential|private[_\-]?key"
_NAME = rf"(?:(?:{_WORDS})[\w.\-]{{0,40}}|(?<![A-Za-z])(?:key|auth|pass|sshpw|rootpw))"
"""How the name of a secret ends: what stands before stays anyway."""

_PATTERNS = (
    # -----BEGIN ... PRIVATE KEY----- up to its end, or to the end of what there is
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # scheme://user:password@host
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]{0,20}://)[^/\s@\"']+@"), rf"\1{REDACTED}@"),
    # "password": "...", also where the JSON is in a text of JSON
    (
        re.compile(rf"({_NAME}\\*\"\s*:\s*)(?:\"(?:[^\"\\]|\\.)*\"|\\+\"[^\"]*\")", re.IGNORECASE),
        rf'\1"{REDACTED}"',
    ),
    # password=..., rd.luks.key=..., ?token=...
    (re.compile(rf"({_NAME}=)(?:\"[^\"]*\"|'[^']*'|[^\s\"'&,;]+)", re.IGNORECASE), rf"\1{REDACTED}"),
    # a line of YAML: password: ...
    (
        re.compile(
            rf"^([ \t]*(?:- )?[\w.\-]{{0,40}}?(?:{_WORDS})[\w.\-]{{0,40}}:[ \t]+)\S.*$", re.IGNORECASE | re.MULTILINE
        ),
        rf"\1{REDACTED}",
    ),
    # Authorization: Bearer ...
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~\-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # hashes of passwords (crypt(5)), JSON web tokens
    (re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy)\$[A-Za-z0-9./$,=]+"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*)?"), REDACTED),
)


def redact(text: str) -> str:
    """The text with ``REDACTED`` where something stood that looks like a secret; names of things stay."""
    for pattern, put in _PATTERNS:
        text = pattern.sub(put, text)
    return text
