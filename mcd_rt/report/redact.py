"""Take what looks like a secret out of a text: the last net below a choice of what is told at all. Pure.

A name that says so, a flag, a header or a form of its own gives a secret away, anywhere in a line: most lines here are
a journal's, with a time, a host and a program before what was said.
"""

import re

REDACTED = "REDACTED"

_PASSWORDS = r"passw(?:or)?d|passphrase|passwd|pwhash"
_OTHERS = r"secret|token|api[_\-]?key|access[_\-]?key|credential|private[_\-]?key"
_WORDS = rf"{_PASSWORDS}|{_OTHERS}"
_NAME = rf"(?:(?:{_WORDS})[\w.\-]{{0,40}}|(?<![A-Za-z])(?:key|auth|pass|sshpw|rootpw))"
"""How the name of a secret ends: what stands before stays anyway."""

_NONE = (
    r"(?!//|[\[`(]|(?:a|an|the|in|of|at|for|from|it|is|was|no|none|not|nothing|where|what|which|who|there|"
    r"invalid|unauthorized|unknown|denied|missing|expired|required|refused|rejected|wrong|bad|empty|unreadable|"
    r"cannot|could|can|may|must|does|did|has|failed|failure|unable|error|forbidden|http|status|received|"
    r"image-\w+|REDACTED)\b)"
)
"""What no secret begins with: it is how messages go on that only speak of one."""

_PATTERNS = (
    # -----BEGIN ... PRIVATE KEY----- up to its end, or to the end of what there is
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        REDACTED,
    ),
    # scheme://user:password@host
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]{0,20}://)[^/\s\"']{1,1000}@"), rf"\1{REDACTED}@"),
    # "password": "...", also where the JSON is in a text of JSON
    (
        re.compile(rf"({_NAME}\\*\"\s*:\s*)(?:\"(?:[^\"\\]|\\.)*\"|\\+\"[^\"]*\")", re.IGNORECASE),
        rf'\1"{REDACTED}"',
    ),
    # password=..., rd.luks.key=..., ?token=..., secret = "..."
    (
        re.compile(rf"({_NAME}[ \t]{{0,8}}=[ \t]{{0,8}})(?:\"[^\"]*\"|'[^']*'|[^\s\"'&]+)", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # a line of YAML: password: ...
    (
        re.compile(
            rf"^([ \t]*(?:- )?[\w.\-]{{0,40}}?(?:{_WORDS})[\w.\-]{{0,40}}:[ \t]+)\S.*$", re.IGNORECASE | re.MULTILINE
        ),
        rf"\1{REDACTED}",
    ),
    # Authorization: ..., Cookie: ...
    (
        re.compile(r"(\b(?:authorization|cookie)[ \t]{0,8}:[ \t]{0,8})\S.*$", re.IGNORECASE | re.MULTILINE),
        rf"\1{REDACTED}",
    ),
    # anywhere in a line: password: ..., of which the rest of the line may be part
    (
        re.compile(
            rf"((?:{_PASSWORDS})[\w.\-]{{0,40}}[\"']?[ \t]{{0,8}}:[ \t]{{0,8}}){_NONE}[^\s].*$",
            re.IGNORECASE | re.MULTILINE,
        ),
        rf"\1{REDACTED}",
    ),
    # the same: X-Api-Key: ..., client-secret: ...
    (
        re.compile(
            rf"((?:{_OTHERS})[\w.\-]{{0,40}}[\"']?[ \t]{{0,8}}:[ \t]{{0,8}}){_NONE}(?:\"[^\"]*\"|'[^']*'|\S+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # auth: Y29yZTp...
    (re.compile(r"((?<![A-Za-z])auth[\"']?[ \t]{0,8}:[ \t]{0,8})[A-Za-z0-9+/_\-]{8,}={0,2}"), rf"\1{REDACTED}"),
    # the password is ...
    (re.compile(rf"((?:{_WORDS})[ \t]{{1,8}}(?:is|was)[ \t]{{1,8}}){_NONE}\S+", re.IGNORECASE), rf"\1{REDACTED}"),
    # --token ..., --src-creds ...
    (
        re.compile(
            rf"(--[\w\-]{{0,40}}?(?:{_WORDS}|creds)(?![\w.\-]*file)[\w\-]{{0,20}}[ \t]{{1,8}})(?!-)\S+", re.IGNORECASE
        ),
        rf"\1{REDACTED}",
    ),
    # curl -u user:..., sshpass -p ..., mysql -p..., a line of .netrc
    (
        re.compile(r"((?:(?<!\S)-u|--(?:proxy-)?user)[ \t=]{0,8}[\"']?[^\s:\"']{1,200}:)[^\s\"']+"),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(\bsshpass[ \t]{1,8}-p[ \t]{0,8})\S+"), rf"\1{REDACTED}"),
    (re.compile(r"(\b(?:mysql|mariadb)[\w\-]{0,20}[^\n]{0,200}?[ \t]-p)[^\s]+"), rf"\1{REDACTED}"),
    (re.compile(r"(\blogin[ \t]{1,8}\S{1,200}[ \t]{1,8}password[ \t]{1,8})\S+"), rf"\1{REDACTED}"),
    # Bearer ...
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~\-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # what stands where a file of somebody else's is wrong
    (
        re.compile(r"(\bnot (?:YAML|JSON): [^\n]{0,300}?, found )(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"),
        rf"\1{REDACTED}",
    ),
    # hashes of passwords (crypt(5)); JSON in base64, as web tokens and pull secrets are
    (re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy)\$[A-Za-z0-9./$,=]+"), REDACTED),
    (re.compile(r"\b(?:eyJ|ewo|eyAi)[A-Za-z0-9+/_\-]{8,}={0,2}(?:\.[A-Za-z0-9_\-]*){0,2}"), REDACTED),
    # keys and tokens that say what they are: AWS, GitHub, GitLab, Docker, Slack, OpenShift
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), REDACTED),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|dckr_pat_|xox[a-z]-|sha256~)[A-Za-z0-9_\-]{16,}"), REDACTED),
)


def redact(text: str) -> str:
    """The text with ``REDACTED`` where something stood that looks like a secret; names of things stay."""
    for pattern, put in _PATTERNS:
        text = pattern.sub(put, text)
    return text
