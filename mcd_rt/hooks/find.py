"""Which hooks there are, and whether they may be run.

The runner is root on a host. It runs what only root can have put there: regular files of root's that nobody else may
write, in directories of which the same holds, all the way down. A hook that fails the test is not passed over: a node
that was to be drained must not reboot because somebody lost a bit in ``chmod``.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mcd_rt.errors import AgentError, Code
from mcd_rt.hooks.protocol import Occasion
from mcd_rt.hostpaths import HostPaths

_TOPS = ("/usr/lib/mcd-rt", "/etc/mcd-rt")
_LEFTOVERS = ("~", ".rpmnew", ".rpmsave", ".rpmorig", ".swp")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def directories_of(paths: HostPaths, occasion: Occasion) -> tuple[Path, ...]:
    """Where hooks of an occasion may be; what is in a later one counts."""
    return tuple(paths.below(f"{top}/{occasion}.d") for top in _TOPS)


def has_hooks(paths: HostPaths, occasion: Occasion) -> bool:
    """Whether anything is there that may be a hook; what cannot be looked at may be one."""
    try:
        return bool(_named(paths, occasion))
    except OSError:
        return True


def find_hooks(paths: HostPaths, occasion: Occasion) -> tuple[Path, ...]:
    """The hooks of an occasion in the order of their names; one in ``/etc`` takes the place of its name.

    A link to ``/dev/null`` masks. Hidden files, and what editors and package managers leave, are passed over.
    Raises ``AgentError`` (``hook-refused``) that names what must not be run, and why.
    """
    try:
        named = _named(paths, occasion)
    except OSError as error:
        raise _refused(Path(error.filename or occasion), error.strerror or str(error)) from error
    hooks = tuple(named[name] for name in sorted(named) if not _is_mask(named[name]))
    for directory in sorted({hook.parent for hook in hooks}):
        _check_way(paths.root, directory)
    for hook in hooks:
        _check_hook(hook)
    return hooks


def _named(paths: HostPaths, occasion: Occasion) -> dict[str, Path]:
    return {
        path.name: path
        for directory in directories_of(paths, occasion)
        if directory.exists()
        for path in _listed(directory)
    }


def _listed(directory: Path) -> Iterator[Path]:
    return (
        path for path in directory.iterdir() if not path.name.startswith(".") and not path.name.endswith(_LEFTOVERS)
    )


def _is_mask(path: Path) -> bool:
    return path.is_symlink() and path.readlink() == Path("/dev/null")


def _check_way(root: Path, directory: Path) -> None:
    """A link on the way is judged as what it is, not as what it leads to."""
    below = directory.relative_to(root).parents
    for place in (*(root / part for part in reversed(below)), directory):
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise _refused(place, "it is not a directory")
        _check_owner(place, found)


def _check_hook(hook: Path) -> None:
    found = hook.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _refused(hook, "it is a link, which only masks, and then leads to /dev/null")
    if not stat.S_ISREG(found.st_mode):
        raise _refused(hook, "it is not a file")
    _check_owner(hook, found)
    if not found.st_mode & stat.S_IXUSR:
        raise _refused(hook, "it is not executable")


def _check_owner(place: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise _refused(place, f"its owner is user {found.st_uid}, not root")
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise _refused(place, f"others than its owner may write it (mode {stat.S_IMODE(found.st_mode):04o})")


def _refused(place: Path, why: str) -> AgentError:
    hint = "make it an executable file of root's that nobody else may write, or take it away"
    return AgentError(Code.HOOK_REFUSED, f"{place} is not run as a hook: {why}", hint)
