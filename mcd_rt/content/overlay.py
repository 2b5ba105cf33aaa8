"""What is visible of an image's layers when they are read newest first, for the places RPMs are in. Pure.

Whiteouts: OCI image specification 1.1, "Image Layer Filesystem Changeset". They hide what is in *lower*
layers only; what stands beside them in their own layer stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from mcd_rt.frozen import frozen

# In the image root until 4.4, below extensions/ until 4.11, then where rpm-ostree has it
# (``machine-config-daemon.md`` 1.3, 2); with how many directories may lie between.
_PLACES = (("", 0), ("extensions", 2), ("usr/share/rpm-ostree/extensions", 2))

# What is remembered of a layer stays in memory; an image of an OS has some hundred packages.
MAX_NAMES = 1 << 16

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."


@frozen
class Whiteout:
    """The member hides ``path`` of lower layers."""

    path: str


@frozen
class Opaque:
    """The member hides everything below the directory ``path`` of lower layers."""

    path: str


@frozen
class Ordinary:
    """The member is what it looks like."""

    path: str


def meaning(path: str) -> Whiteout | Opaque | Ordinary:
    """What the member of this path is for; raises ``ValueError`` for a whiteout of nothing or of a parent."""
    directory, _, name = path.rpartition("/")
    if name == _OPAQUE:
        return Opaque(directory)
    if not name.startswith(_WHITEOUT) or name.startswith(_AUFS):
        return Ordinary(path)
    hidden = name.removeprefix(_WHITEOUT)
    if hidden in ("", ".", ".."):
        raise ValueError(f"{name!r} is not the whiteout of a name")
    return Whiteout(f"{directory}/{hidden}" if directory else hidden)


def in_place(path: str) -> bool:
    """Whether an RPM of this path is where an image offers RPMs."""
    if not path.endswith(".rpm") or path.rpartition("/")[2].startswith(_WHITEOUT):
        return False
    return any(
        path.startswith(f"{place}/" if place else "")
        and path.removeprefix(f"{place}/" if place else "").count("/") <= depth
        for place, depth in _PLACES
    )


def meets(path: str, place: str) -> bool:
    """Whether a path is a place, lies in it, or leads to it; the root is empty, and leads everywhere."""
    return not path or path == place or path.startswith(f"{place}/") or place.startswith(f"{path}/")


def concerns(path: str) -> bool:
    """Whether something of this path can hide an RPM: it is in a place, or a directory on the way to one."""
    return in_place(path) or any(meets(path, place) for place, _ in _PLACES if place)


def shallow(path: str) -> str:
    """As much of a path as can hide an RPM: what lies deeper than RPMs do only makes directories of what is above."""
    for place, depth in _PLACES:
        if place and path.startswith(f"{place}/"):
            return "/".join(path.split("/")[: place.count("/") + depth + 2])
    return path


def ancestors(path: str) -> Iterator[str]:
    """The directories above a path, the root (``""``) last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


@frozen
class Shadow:
    """What newer layers hide of older ones: names that are taken, and names below which nothing shows."""

    taken: frozenset[str] = frozenset()
    covered: frozenset[str] = frozenset()

    def hides(self, path: str) -> bool:
        """Whether a file of this path in an older layer is not in the image."""
        return path in self.taken or any(above in self.covered for above in ancestors(path))


@dataclass(slots=True)
class Layer:
    """What one layer hides, gathered member by member, and what cannot be two things in one layer."""

    taken: set[str] = field(default_factory=set)
    covered: set[str] = field(default_factory=set)
    _files: set[str] = field(default_factory=set)
    _rpms: set[str] = field(default_factory=set)
    _above_rpms: set[str] = field(default_factory=set)

    def add(self, path: str, *, directory: bool) -> None:
        """Note a member. Raises ``ValueError`` where it changes what earlier members of the layer are.

        An archive may name a path twice, and unpacking would take the last; a stream cannot take back the RPM it
        has already passed on.
        """
        found = meaning(path)
        if not concerns(found.path):
            return
        if len(self.taken) + len(self.covered) >= MAX_NAMES:
            raise ValueError(f"is one of more than {MAX_NAMES} names in the places for RPMs")
        match found:
            case Whiteout(hidden):
                self.taken.add(hidden)
                self.covered.add(hidden)
            case Opaque(hidden):
                self.covered.add(hidden)
            case Ordinary():
                near = shallow(path)
                self._add_ordinary(near, directory=directory or near != path)
            case _:
                assert_never(found)

    def above(self, shadow: Shadow) -> Shadow:
        """What this layer and the newer ones hide together."""
        return Shadow(shadow.taken | self.taken, shadow.covered | self.covered)

    def _add_ordinary(self, path: str, *, directory: bool) -> None:
        if path in self._rpms:
            raise ValueError("is there twice")
        if not directory and path in self._above_rpms:
            raise ValueError("takes the place of a directory of the same layer")
        if in_place(path) and not self._files.isdisjoint(ancestors(path)):
            raise ValueError("lies below what is not a directory in the same layer")
        self.taken.add(path)
        self.taken.update(ancestors(path))
        if not directory:
            self.covered.add(path)
            self._files.add(path)
            if in_place(path):
                self._rpms.add(path)
                self._above_rpms.update(ancestors(path))
