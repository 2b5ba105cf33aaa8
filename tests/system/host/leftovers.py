"""Is anything of a test host left here? ``python -m tests.system.host.leftovers``; hosts in use do not count."""

import subprocess
import sys
from pathlib import Path

from tests.system.container import OVERLAY
from tests.system.host.groups import NAME


def kept() -> list[str]:
    """The command lines of the keepers that live: what they look after is in use."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "host/keeper.py" in command:
            found.append(command)
    return found


def leftovers() -> list[str]:
    """Control groups, mounts, loop devices and processes that nobody looks after."""
    living = " ".join(kept())
    groups = {group.name: str(group) for group in Path("/sys/fs/cgroup").glob(f"*/{NAME}*")}
    groups |= {group.name: str(group) for group in Path("/sys/fs/cgroup").glob(f"{NAME}*")}
    found = [place for name, place in groups.items() if name not in living]
    for line in Path("/proc/mounts").read_text().splitlines():
        source, place, *_ = line.split()
        if (source == OVERLAY or place.endswith("/sysroot/boot")) and _owner(place) not in living:
            found.append(place)
    loops = subprocess.check_output(["losetup", "--list", "--noheadings", "-O", "BACK-FILE"], text=True).split()
    return found + [loop for loop in loops if loop.endswith("/boot.img") and str(Path(loop).parent) not in living]


def _owner(mounted: str) -> str:
    """The directory of the host that has this mounted."""
    return mounted.removesuffix("/sysroot/boot").removesuffix("/root").removesuffix("/memory")


if __name__ == "__main__":
    LEFT = leftovers()
    print("\n".join(f"left behind: {each}" for each in LEFT) or "nothing is left of the test hosts")
    sys.exit(bool(LEFT))
