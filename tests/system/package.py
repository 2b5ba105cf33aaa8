"""Hosts for the self-contained package: a root with a shell, a message bus and no Python, and what is run in it."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from mcd_rt import __version__
from tests.system.patience import PATIENCE

TOP = Path(__file__).parents[2]
PROGRAMS = ("/bin/sh", "/bin/cat", "/usr/bin/dbus-daemon")
LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "libgcc_s.so.1")
"""All that the root has before: what the package's own requirements name, the C library with all its parts."""


@cache
def packages() -> list[Path]:
    """The RPMs of this tree: those in ``dist/``, built anew where something has changed since."""
    order = [sys.executable, "packaging/selfcontained", "rpm", "--if-changed", "--output", str(TOP / "dist")]
    done = subprocess.run(order, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(order)}: {done.stderr}"
    made = sorted((TOP / "dist").glob("*.rpm"))
    assert made, "dist/ has no packages, and says it has: remove it"
    return made


def rebuilt(place: Path, release: int) -> list[Path]:
    """The same packages with another release, in a directory that is there."""
    files = place / "files"
    files.mkdir()
    unpack(packages(), files)
    defines = {
        "_topdir": str(place),
        "_rpmdir": str(place),
        "_binary_payload": "w1.gzdio",
        "tree": str(files),
        "lists": f"{place}/lists",
        "layout": str(TOP / "packaging/selfcontained"),
        "python3": sys.executable,
        "version_of_agent": __version__,
        "release_of_package": str(release),
    }
    words = [word for key, value in defines.items() for word in ("-D", f"{key} {value}")]
    order = ["rpmbuild", "-bb", "--quiet", "--with", "selfcontained", *words, str(TOP / "packaging/rpm/mcd-rt.spec")]
    subprocess.run(order, check=True, capture_output=True)
    return sorted(place.rglob("*.rpm"))


def unpack(rpms: list[Path], place: Path) -> None:
    """Put their files below a directory; no scripts, no database."""
    for rpm in rpms:
        archive = subprocess.run(["rpm2cpio", str(rpm)], check=True, capture_output=True).stdout
        subprocess.run(["cpio", "-idmu", "--quiet"], check=True, input=archive, cwd=place)


def why_no_packages() -> str:
    """Why these tests cannot be told anything here; empty where they can."""
    return "" if os.geteuid() == 0 else "only root installs packages"


def make_root(root: Path) -> None:
    """A host as small as it can be, from this machine's own programs and the libraries they name."""
    for folder in ("dev", "proc", "tmp", "etc", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "var/lib/rpm", "run"):
        (root / folder).mkdir(parents=True)
    for folder in ("bin", "sbin", "lib", "lib64"):
        (root / folder).symlink_to(f"usr/{folder}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    known = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    wanted = [*PROGRAMS, *(re.search(rf"{re.escape(name)} \(.*x86-64.*=> (\S+)", known)[1] for name in LIBRARIES)]
    for program in wanted:
        named = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        for file in [program, *re.findall(r"(/\S+) \(0x", named)]:
            target = root / "usr" / Path(file).relative_to("/usr" if file.startswith("/usr/") else "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(file).resolve(), target)


def needed_of_the_host(rpm: Path) -> list[str]:
    """Names of shared objects that files of the package name and the package does not have."""
    listed = subprocess.run(["rpm", "-qp", "--requires", str(rpm)], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.split("\n") if line and not line.startswith("rpmlib(")]


def install(root: Path, rpms: list[Path]) -> None:
    """As an installer does into a new root; what they require was looked at before (there is no database of it)."""
    order = ["rpm", "--root", str(root), "--nodeps", "--nosignature", "-i", *map(str, rpms)]
    subprocess.run(order, check=True, capture_output=True)


def run_in(root: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the root, with processes of its own, and nothing of this machine's environment."""
    variables = {"PATH": "/usr/bin:/usr/sbin", **environment}
    script = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"'
    order = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", str(root), *command]
    return subprocess.run(order, check=False, capture_output=True, text=True, env=variables, timeout=PATIENCE)
