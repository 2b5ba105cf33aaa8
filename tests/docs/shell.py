"""A shell in a copy of the checkout, with a simulated node, that says what each command printed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import mcd_rt
from tests.docs.blocks import TOP

PRELUDE = "mcd-rt sim > node 2> node.log & until [ -s node ]; do sleep 0.1; done; . ./node"
_END = "-- the end of a command: "
_KILLED = re.compile(r"^bash: line \d+: +\d+ (\w+) .*$", re.MULTILINE)  # an interactive shell says only the word


class Answer(NamedTuple):
    """What a command printed, on both streams, and its exit code."""

    text: str
    code: int


class Shell:
    """One bash, for all commands of a page; to be closed."""

    def __init__(self, place):
        copy_checkout(place / "mcd-rt")
        program = place / "bin/mcd-rt"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mcd_rt "$@"\n')
        program.chmod(0o755)
        installed = place / "mcd-rt/.venv/bin"
        installed.mkdir(parents=True)
        (installed / "mcd-rt").symlink_to(program)
        (installed / "activate").touch()
        environment = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(mcd_rt.__file__).parents[1]),
            "HOME": str(place),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=place / "mcd-rt",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command):
        """Run one command, or some lines of them: the exit code is that of the last that failed."""
        self._bash.stdin.write(f"failed=0; trap 'failed=$?' ERR\n{command}\nprintf '\\n{_END}%s\\n' $failed\n")
        self._bash.stdin.flush()
        said = []
        for line in self._bash.stdout:
            if line.startswith(_END):
                return Answer(_KILLED.sub(r"\1", "".join(said)).strip("\n"), int(line.removeprefix(_END)))
            said.append(line)
        raise AssertionError(f"the shell ended at: {command}")

    def close(self):
        """End it, and what it left in the background."""
        os.killpg(self._bash.pid, signal.SIGTERM)
        self._bash.stdin.close()
        self._bash.stdout.read()  # until the last of them is gone
        self._bash.stdout.close()
        self._bash.wait()


def copy_checkout(place):
    """What is in the checkout, or would be: no builds, no caches."""
    order = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(order, cwd=TOP, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TOP / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, place / name)
