"""How skopeo is called, so that it sees registries as the host does: secrets, certificates, mirrors, proxies.

With a root other than ``/`` the host is the one below that root, which skopeo has to be told piece by piece.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from mcd_rt.content.manifest import go_name
from mcd_rt.content.policy import full_name
from mcd_rt.content.requests import EMPTY_SECRETS
from mcd_rt.frozen import frozen

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_PASSED = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", *_PROXIES)
_CREDENTIALS = "${CREDENTIALS_DIRECTORY}"
_MAX_SETTINGS = 64 * 1024


@frozen
class Skopeo:
    """What is the same in every call: options before and after the verb, the environment, open descriptors."""

    root: Path
    options: tuple[str, ...]
    access: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()

    @property
    def policy(self) -> Path:
        """The trust policy it judges by."""
        return self.root / "etc/containers/policy.json"

    def verb(self, verb: str, *arguments: str) -> tuple[str, ...]:
        """The command line of a verb."""
        return ("skopeo", *self.options, verb, *self.access, *arguments)


def skopeo_for(
    place: str, root: str, authfiles: tuple[str, ...], architecture: str, scratch: str, *, lent: int = -1
) -> Skopeo:
    """How to call it for a repository; ``authfiles`` are tried in their order, ``scratch`` is for its files.

    ``lent`` is a descriptor of a pull secret, for where none of the files can be read.
    """
    top = Path(root)
    options = ["--override-os", "linux", "--override-arch", go_name(architecture)]
    access = []
    if top != Path("/"):
        options += ["--policy", str(top / "etc/containers/policy.json")]
        options += ["--registries-conf", str(top / "etc/containers/registries.conf")]
        options += ["--registries.d", str(top / "etc/containers/registries.d")]
        certificates = top / "etc/containers/certs.d" / full_name(place).partition("/")[0]
        if certificates.is_dir():
            access += ["--cert-dir", str(certificates)]
    authfile = find_authfile(authfiles, os.environ)
    if authfile or lent >= 0:
        access += ["--authfile", authfile or f"/proc/self/fd/{lent}"]
    passed = (lent,) if lent >= 0 and not authfile else ()
    return Skopeo(top, tuple(options), tuple(access), _environment(top, scratch), passed)


def find_authfile(candidates: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """The first that is there, readable and not empty; nothing where none is.

    ``${CREDENTIALS_DIRECTORY}`` in one is systemd's, see systemd.exec(5). It holds an empty object where there was
    nothing to load.
    """
    for candidate in candidates:
        if candidate.startswith(_CREDENTIALS):
            directory = environment.get("CREDENTIALS_DIRECTORY")
            path = Path(directory + candidate.removeprefix(_CREDENTIALS)) if directory else None
        else:
            path = Path(candidate)
        if path is not None and _is_usable(path):
            return str(path)
    return ""


def _is_usable(path: Path) -> bool:
    try:
        return path.is_file() and path.read_bytes().strip() not in EMPTY_SECRETS
    except OSError:
        return False


def _environment(root: Path, scratch: str) -> dict[str, str]:
    """Its own: nothing of the worker's that it could print, and no home with settings nobody looks after."""
    passed = {key: value for key, value in os.environ.items() if key in _PASSED}
    return passed | _proxies(root / "etc/mco/proxy.env") | {"HOME": "/nonexistent", "LC_ALL": "C", "TMPDIR": scratch}


def _proxies(file: Path) -> dict[str, str]:
    """The proxies of a MCO node: lines ``KEY=VALUE``, as systemd.exec(5) has them."""
    try:
        text = file.read_bytes()[:_MAX_SETTINGS].decode(errors="replace")
    except OSError:  # there is none on other hosts
        return {}
    lines = (line.strip().partition("=") for line in text.splitlines())
    pairs = ((key.strip(), value.strip().strip("\"'")) for key, _, value in lines)
    return {key: value for key, value in pairs if key in _PROXIES and "\0" not in value}  # no environment has a NUL
