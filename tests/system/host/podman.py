"""podman of a test host, as far as the agent is installed with it: images are directories, a registry is a file.

``image exists``, ``pull`` and ``run``, whose container has the volumes and the command it is told, and its own root.
"""

import os
import subprocess
import sys
from pathlib import Path

IMAGES = Path("/var/lib/agent-images")
"""Roots of images, by the hexadecimal digits of their digests."""
REGISTRY = Path("/var/lib/registry-is-up")
ASKED = Path("/run/podman-was-asked")
"""What it was asked in this boot."""
_PULLED = Path("/var/lib/pulled-images")


def _place(name: str) -> Path:
    return IMAGES / name.rpartition(":")[2]


def _pull(name: str) -> str:
    if not REGISTRY.exists() or not _place(name).is_dir():
        return f"Error: initializing source docker://{name}: connection refused"
    _PULLED.mkdir(exist_ok=True)
    (_PULLED / _place(name).name).touch()
    return ""


def _run(words: list[str]) -> int:
    options = [word.partition("=")[::2] for word in words if word.startswith("--")]
    name, *command = [word for word in words if not word.startswith("--")]
    root = _place(name)
    volumes = [("/proc", "/proc"), *(value.split(":") for key, value in options if key == "--volume")]
    mounts = [f"mount --bind {source} {root}{target}" for source, target in volumes]
    entry = [value for key, value in options if key == "--entrypoint"]
    script = " && ".join([*mounts, 'exec chroot "$@"'])
    whole = ["unshare", "--mount", "sh", "-c", script, "sh", str(root), *entry, *command]
    return subprocess.run(whole, check=False).returncode


def main(verb: str, *words: str) -> int:
    """As podman."""
    with ASKED.open("a") as asked:
        print(verb, *words, file=asked)
    match verb:
        case "image":
            return 0 if (_PULLED / _place(words[-1]).name).exists() else 1
        case "pull":
            complaint = _pull(words[-1])
            print(complaint, file=sys.stderr)
            return 125 if complaint else 0
        case "run":
            return _run(list(words))
        case _:
            raise ValueError(verb)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(*sys.argv[1:]))
