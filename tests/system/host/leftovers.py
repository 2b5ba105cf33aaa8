"""Is anything of a test host left here? ``python -m tests.system.host.leftovers``; hosts in use do not count."""

import subprocess
import sys
from pathlib import Path

_NAME = "mcd-rt-host-"


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
    groups = {group.name: str(group) for group in Path("/sys/fs/cgroup").glob(f"*/{_NAME}*")}
    groups |= {group.name: str(group) for group in Path("/sys/fs/cgroup").glob(f"{_NAME}*")}
    found = [place for name, place in groups.items() if name not in living]
    disks = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if "/sysroot/boot " in line]
    found += [place for place in disks if place.removesuffix("/sysroot/boot") not in living]
    loops = subprocess.check_output(["losetup", "--list", "--noheadings", "-O", "BACK-FILE"], text=True).split()
    return found + [loop for loop in loops if loop.endswith("/boot.img") and str(Path(loop).parent) not in living]


if __name__ == "__main__":
    LEFT = leftovers()
    print("\n".join(f"left behind: {each}" for each in LEFT) or "nothing is left of the test hosts")
    sys.exit(bool(LEFT))
