"""Puts the agent out of its image onto a node whose /usr is read-only: below /usr/local and /etc, which are the node's.

``/usr/libexec/mcd-rt/python /usr/share/mcd-rt/install_on_host.py HOST``, where HOST is the node's root. Run again with
another version it replaces the earlier one. Stop the agent before and start it after, as mcd-rt-install.sh does: it
loads parts of itself when it needs them, and would find those of the other version.
"""

import shutil
import sys
from pathlib import Path

_MOVED = (("/usr/bin/mcd-rt", "/usr/local/bin/mcd-rt"), ("/usr/lib/mcd-rt", "/usr/local/lib/mcd-rt"))
_TREES = ("lib/mcd-rt", "libexec/mcd-rt")  # the first has the label by which mcd-rt-install.sh knows that all is whole
_FILES = (
    ("usr/lib/systemd/system", "mcd-rt*", "etc/systemd/system"),
    ("usr/lib/systemd/catalog", "mcd-rt*", "usr/local/lib/systemd/catalog"),
    ("usr/lib/sysusers.d", "mcd-rt*", "etc/sysusers.d"),
    ("usr/lib/tmpfiles.d", "mcd-rt*", "etc/tmpfiles.d"),
    ("usr/share/polkit-1/rules.d", "*mcd-rt*", "etc/polkit-1/rules.d"),
)


def install(image: Path, host: Path) -> None:
    """Copy the program from the image's root to the host's, and what names its place, with the place it has there.

    Raises ``OSError`` as the system does; what was not replaced yet is the earlier version, whole.
    """
    local = host / "usr/local"
    for name in _TREES:
        _replace(image / "usr" / name, local / name)
    program = local / "bin/mcd-rt"
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_name(".mcd-rt.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to("../libexec/mcd-rt/python")
    fresh.rename(program)
    for source, pattern, destination in _FILES:
        for file in sorted((image / source).glob(pattern)):
            if file.is_file():
                _write(host / destination / file.name, _moved(file.read_text()))


def _replace(source: Path, target: Path) -> None:
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, fresh, symlinks=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _moved(text: str) -> str:
    for old, new in _MOVED:
        text = text.replace(old, new)
    return text


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.rename(path)


if __name__ == "__main__":
    install(Path("/"), Path(sys.argv[1]))
