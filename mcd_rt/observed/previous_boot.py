"""How the boot before this one ended, as far as it concerns a staged deployment.

ostree finalizes at shutdown, when nobody is there to see it fail; its words are in the journal of that boot, if the
host keeps one. Later versions (2022) also leave its error in /boot, for ``ostree-boot-complete.service`` to say once in
the next boot. What GRUB did then, it tells nobody but its environment block, where boot counting is set up.
"""

from mcd_rt.effects import Effects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.evidence import Evidence
from mcd_rt.observed.command import hear_command

_PREVIOUS = ("-b", "-1", "-u", "ostree-finalize-staged.service")
_NOW = ("-b", "0", "-u", "ostree-boot-complete.service")
_OUTPUT = ("-o", "cat", "--no-pager", "-n", "100")
_GRUBENV = "/boot/grub2/grubenv"
_MAX_GRUBENV = 4096


async def read_evidence(effects: Effects, paths: HostPaths) -> Evidence:
    """What the previous boot left behind; what cannot be read is not known, which is no error."""
    return Evidence(await _finalizer_log(effects, paths), boot_counted=_has_boot_counting_given_up(paths))


async def _finalizer_log(effects: Effects, paths: HostPaths) -> tuple[str, ...] | None:
    log = await _journal(effects, paths, _PREVIOUS)
    if log is not None and any(map(_is_error, log)):
        return log
    late = tuple(filter(_is_error, await _journal(effects, paths, _NOW) or ()))
    return log if log is None and not late else (*(log or ()), *late)


async def _journal(effects: Effects, paths: HostPaths, which: tuple[str, ...]) -> tuple[str, ...] | None:
    text = await hear_command(effects, paths, "/usr/bin/journalctl", (*which, *_OUTPUT))
    if text is None:
        return None
    return tuple(line for line in text.splitlines() if not line.startswith("-- "))  # "-- No entries --"


def _is_error(line: str) -> bool:
    return line.startswith("error:")


def _has_boot_counting_given_up(paths: HostPaths) -> bool:
    """Greenboot counts down ``boot_counter``; GRUB leaves -1 when it fell back to the other entry."""
    try:
        with paths.below(_GRUBENV).open("rb") as file:
            return b"\nboot_counter=-1\n" in b"\n" + file.read(_MAX_GRUBENV)
    except OSError:
        return False
