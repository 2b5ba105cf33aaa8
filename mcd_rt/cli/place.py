"""Which node the verbs speak of."""

import os
from pathlib import Path

from mcd_rt.hostpaths import HostPaths


def host_paths() -> HostPaths:
    """The host's paths, below ``MCD_RT_ROOT`` where that is set."""
    return HostPaths(Path(os.environ.get("MCD_RT_ROOT") or "/"))
