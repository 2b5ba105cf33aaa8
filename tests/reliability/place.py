"""Where the simulated nodes of a run lie: in memory, where a rename takes no time."""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH = 4 * 1024**3
"""Bytes free: the agent looks for room before it stages."""


def use_memory() -> None:
    """For this process and its children, where the host has such a place and it is large enough."""
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ENOUGH:
        return
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = str(_MEMORY)
