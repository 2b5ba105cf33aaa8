"""What an ostree repository is made of, as far as it is taken out of an image: names, limits, its config. Pure.

Taken are objects and refs, and only of an archive: what another mode keeps in owners, links and extended attributes
of its files does not survive a plain copy. (libostree, ``repo(5)`` and ``ostree-repo.c``; machine-os-content has always
been an archive.)
"""

import configparser
import re
from dataclasses import dataclass, field

from mcd_rt.content.overlay import meets

PLACE = "srv/repo"
MODES = ("archive-z2", "archive")
CONFIG = b"[core]\nrepo_version=1\nmode=archive-z2\n"
DIRECTORIES = ("objects", "refs/heads", "refs/mirrors", "refs/remotes", "extensions", "state", "tmp/cache")
MAX_REF = 65
MAX_CONFIG = 64 << 10

_OBJECT = re.compile(r"objects/[0-9a-f]{2}/[0-9a-f]{62}\.(commit|commitmeta|dirtree|dirmeta|filez)")
_REF = re.compile(r"refs/heads(/[A-Za-z0-9][A-Za-z0-9._+-]{0,100}){1,8}")
_FOREIGN = re.compile(r"objects/[0-9a-f]{2}/[0-9a-f]{62}\.file(-xattrs|-xattrs-link)?")


@dataclass(slots=True)
class Names:
    """Names of files that came, relative to the repository: each once, none of them a directory of another."""

    _files: set[str] = field(default_factory=set)
    _directories: set[str] = field(default_factory=set)

    def add(self, name: str) -> None:
        """One more; raises ``ValueError`` where it cannot stand beside those that came."""
        parts = name.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if name in self._files:
            raise ValueError("comes twice")
        if name in self._directories or not self._files.isdisjoint(above):
            raise ValueError("is a file and a directory")
        self._files.add(name)
        self._directories |= above

    def __len__(self) -> int:
        """How many came."""
        return len(self._files)


def is_part(name: str) -> bool:
    """Whether a file of this name, relative to the repository, is taken."""
    return bool(_OBJECT.fullmatch(name)) or is_ref(name)


def checksum_in(name: str) -> str:
    """The SHA-256 an object's file must have by its name: that of metadata, and nothing for the others."""
    if name.endswith((".commit", ".dirtree", ".dirmeta")):
        return name.removeprefix("objects/").partition(".")[0].replace("/", "")
    return ""


def is_ref(name: str) -> bool:
    """Whether a file of this name is a branch: the checksum of a commit, in hex."""
    return len(name) <= 256 and bool(_REF.fullmatch(name))


def is_foreign(name: str) -> bool:
    """Whether a file of this name is an object that no archive has."""
    return bool(_FOREIGN.fullmatch(name))


def concerns(path: str) -> bool:
    """Whether a path in an image is the repository, lies in it, or leads to it; the root is empty."""
    return meets(path, PLACE)


def object_of(checksum: str, kind: str) -> str:
    """The name of an object."""
    return f"objects/{checksum[:2]}/{checksum[2:]}.{kind}"


def mode_of(config: bytes) -> str:
    """The mode in a repository's config; raises ``ValueError`` for what is no such config."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(config.decode())
        version, mode = parser.get("core", "repo_version"), parser.get("core", "mode")
    except configparser.Error as error:
        raise ValueError(f"not the config of a repository: {error.message}") from error
    if version != "1":
        raise ValueError(f"repo_version is {version!r}, expected '1'")
    return mode
