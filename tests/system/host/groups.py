"""Control groups of a container's own, and the keeper that removes them with everything else, however its test ends."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = "mcd-rt-host-"
"""What the name of every container begins with, and of its groups."""
KEEPER = Path(__file__).with_name("keeper.py")
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a keeper looks after: a name nobody else has, a directory, and control groups."""

    name: str
    place: Path
    groups: tuple[Path, ...]


def groups_of(name: str, top: Path = _CGROUPS) -> tuple[Path, ...]:
    """Where the groups of this name are: in the hierarchies of systemd, or in the only one there is (version 2)."""
    kinds = [kind for kind in ("systemd", "unified") if (top / kind).is_dir()] or [""]
    return tuple(top / kind / name for kind in kinds)


def in_groups(groups: tuple[Path, ...], command: list[str]) -> list[str]:
    """The command, begun in control groups, where the keeper finds it."""
    joins = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in groups)
    return ["sh", "-c", f'{joins}; exec "$@"', "sh", *command]


def version_of(groups: tuple[Path, ...]) -> dict[str, str]:
    """For systemd-nspawn's environment: where there is but one hierarchy, the container has that one and no older.

    It would look into the container for a systemd that knows version 2, and finds none where /usr is mounted later.
    """
    return {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"} if len(groups) == 1 else {}


@contextmanager
def kept(place: Path) -> Iterator[Kept]:
    """An empty directory and empty groups; the keeper kills, unmounts and removes what is in them after the block."""
    name = f"{NAME}{uuid.uuid4().hex[:8]}"
    found = Kept(name, place, groups_of(name))
    keeper = subprocess.Popen(
        [sys.executable, str(KEEPER), str(place), *map(str, found.groups)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        place.mkdir(parents=True)
        for group in found.groups:
            group.mkdir()
        yield found
    finally:
        said, _ = keeper.communicate()
        assert said == "clean\n", f"something of {name} is left: {said}"
