"""Whether this host's ostree drops the rollback by itself where a new kernel does not fit into /boot.

"Early prune" (ostreedev/ostree pull requests 2847 and 3012): asked for by ``OSTREE_SYSROOT_OPTS=early-prune`` since
2023.3, done unless ``no-early-prune`` is asked for since the late summer of 2023; 2023.7 is the first release that
surely has it. It is the service that finalizes which writes to /boot, so its environment is what counts.
"""

import re

from mcd_rt.effects import Effects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.observed.command import hear_command

_OSTREE = "/usr/bin/ostree"
_VERSION = re.compile(r"^\s*Version:\s*'?(\d+)\.(\d+)", re.MULTILINE)
_ASKED_FOR_SINCE = (2023, 3)
_DEFAULT_SINCE = (2023, 7)
_UNIT = "systemd/system/ostree-finalize-staged.service.d"
_OPTIONS = re.compile(r"^\s*Environment=.*\bOSTREE_SYSROOT_OPTS=([\w:;, -]*)", re.MULTILINE)


async def prunes_early(effects: Effects, paths: HostPaths) -> bool:
    """Ask ``ostree --version``, and the drop-ins of the service; one that cannot be asked does not."""
    said = await hear_command(effects, paths, _OSTREE, ["--version"])
    found = _VERSION.search(said or "")
    if found is None:
        return False
    version = (int(found[1]), int(found[2]))
    words = _options(paths)
    if version >= _DEFAULT_SINCE:
        return "no-early-prune" not in words
    return version >= _ASKED_FOR_SINCE and "early-prune" in words


def _options(paths: HostPaths) -> frozenset[str]:
    """What the drop-ins say, all of them: which of two is the last is no matter, as nobody says both."""
    words: set[str] = set()
    for top in ("/usr/lib", "/run", "/etc"):
        for drop_in in sorted(paths.below(f"{top}/{_UNIT}").glob("*.conf")):
            try:
                text = drop_in.read_text(errors="replace")
            except OSError:  # as if it were not there
                continue
            words |= {word for found in _OPTIONS.findall(text) for word in re.split(r"[:;, ]+", found)}
    return frozenset(words)
