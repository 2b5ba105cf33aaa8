"""Builds CPython for old hosts: Debian's sources (its security fixes with them), the C compiler of the ziglang wheel.

That compiler links against the symbols of the glibc one asks for, whatever this machine has, so the result
starts wherever glibc is at least that old. Everything comes from two package registries; a build takes
some minutes, once: the result is kept in a directory whose name is the hash of all that went in.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

GLIBC = "2.28"
"""Of EL8, the oldest host; the wheels of rpm-rs need it too."""
SUITE = "bookworm"
SOURCES = ("python3.11", "libffi", "zlib")
COMPILER = "ziglang==0.17.1"
EPOCH = "1704067200"
"""Seconds; instead of the time of the build, so that two builds are the same."""

_FIXES = re.compile(r"(CVE-|000\d-3\.11-|relfile-|shutdown-|frame_dealloc-)")
"""Debian's patches that mend; the others are about where Debian puts things, and about its tests."""
_FLAGS = "-O2 -fwrapv -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fno-sanitize=undefined -Wno-date-time"
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A built one: the executable, its standard library, and the licences of what is in it."""

    python: Path
    library: Path
    licences: Path


def build_interpreter(cache: Path, *, mirror: str) -> Interpreter:
    """Build it, or take it from the cache; `mirror` is a Debian mirror's address.

    Raises ``subprocess.CalledProcessError`` of whichever step failed; its output is on standard error.
    """
    sources = _fetch_sources(cache, mirror)
    place = cache / f"interpreter-{_identity(sources)}"
    done = Interpreter(place / "python", place / "library", place / "licences")
    if not place.exists():
        work = cache / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        environment = _environment(cache)
        _build_dependencies(work, sources, environment)
        tree = _build_python(work, sources, environment)
        _keep(tree, work, place)
        shutil.rmtree(work)
    return done


def _fetch_sources(cache: Path, mirror: str) -> dict[str, list[Path]]:
    """By apt, with a list of its own: it checks the signatures; the machine's settings stay as they are."""
    place = cache / "sources"
    (place / "lists/partial").mkdir(parents=True, exist_ok=True)
    (place / "sources.list").write_text(f"deb-src {mirror} {SUITE} main\n")
    options = {
        "Dir::Etc::sourcelist": place / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": place / "lists",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    _run([*apt, "update"], place)
    found = {}
    for source in SOURCES:
        folder = place / source
        folder.mkdir(exist_ok=True)
        _run([*apt, "source", "--download-only", source], folder)
        found[source] = sorted(folder.iterdir())
    return found


def _identity(sources: dict[str, list[Path]]) -> str:
    hashed = hashlib.sha256(f"{GLIBC} {COMPILER} {_FLAGS} {os.uname().machine}".encode())
    ours = [_HERE / name for name in ("launcher.c", "Setup.local", "interpreter.py")]
    for file in [*ours, *(path for paths in sources.values() for path in paths)]:
        hashed.update(hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()[:16]


def _environment(cache: Path) -> dict[str, str]:
    """With a compiler in it, which is a wheel that is unpacked, and never found by accident."""
    wheel = cache / COMPILER.replace("==", "-")
    if not wheel.exists():
        fresh = wheel.with_suffix(".new")
        _run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(fresh), COMPILER], cache)
        fresh.rename(wheel)
    compiler = f"{wheel}/ziglang/zig"
    target = f"-target {os.uname().machine}-linux-gnu.{GLIBC}"
    return os.environ | {
        "CC": f"{compiler} cc {target}",
        "CXX": "no",  # configure would have the compiler's C++ library built, for nothing
        "AR": f"{compiler} ar",
        "RANLIB": f"{compiler} ranlib",
        "CFLAGS": _FLAGS,
        "LDFLAGS": f"{_FLAGS} -pie -s",
        "PKG_CONFIG": "false",
        "SOURCE_DATE_EPOCH": EPOCH,
        "ZIG_GLOBAL_CACHE_DIR": str(cache / "compiled"),
        "ZIG_LOCAL_CACHE_DIR": str(cache / "compiled"),
        "LC_ALL": "C",
    }


def _build_dependencies(work: Path, sources: dict[str, list[Path]], environment: dict[str, str]) -> None:
    prefix = f"--prefix={work}/dependencies"
    ffi = _unpack(work, sources["libffi"])
    options = [prefix, "--disable-shared", "--disable-docs", "--disable-multi-os-directory"]
    # One prototype (of `int f(void)`) is missing in 3.4.4, which compilers of its time only warned about.
    lenient = environment | {"CFLAGS": f"{_FLAGS} -Wno-error=implicit-function-declaration"}
    _run(["./configure", "-q", *options], ffi, lenient)
    _run(["make", "-s", "-j2", "install"], ffi, environment)
    zlib = _unpack(work, sources["zlib"])
    _run(["./configure", prefix, "--static"], zlib, environment)
    _run(["make", "-s", "-j2", "libz.a"], zlib, environment)
    for name, folder in (("zlib.h", "include"), ("zconf.h", "include"), ("libz.a", "lib")):
        shutil.copy(zlib / name, work / "dependencies" / folder / name)


def _build_python(work: Path, sources: dict[str, list[Path]], environment: dict[str, str]) -> Path:
    tree = _unpack(work, sources["python3.11"])
    for patch in (work / "debian/patches/series").read_text().split():
        if _FIXES.match(patch):
            _run(["patch", "-s", "-p1", "--no-backup-if-mismatch", "-i", str(work / "debian/patches" / patch)], tree)
    shutil.copy(_HERE / "launcher.c", tree / "Programs/python.c")
    setup = (_HERE / "Setup.local").read_text().replace("$(DEPENDENCIES)", f"{work}/dependencies")
    (tree / "Modules/Setup.local").write_text(setup)
    options = ["--prefix=/usr", "--without-ensurepip", "--disable-test-modules", "--with-pkg-config=no"]
    _run(["./configure", "-q", *options], tree, environment)
    _run(["make", "-s", "-j2", "python"], tree, environment)
    return tree


def _unpack(work: Path, files: list[Path]) -> Path:
    """The upstream tarball, and Debian's own files beside it; returns the one directory upstream's had."""
    folder = work / "unpacked" / files[0].name.partition("_")[0]
    folder.mkdir(parents=True)
    for file in files:
        if ".orig.tar" in file.name and not file.name.endswith(".asc"):
            with tarfile.open(file) as archive:
                archive.extractall(folder, filter="tar")
        elif ".debian.tar" in file.name and files[0].name.startswith("python"):
            with tarfile.open(file) as archive:
                archive.extractall(work, filter="tar")
    [tree] = folder.iterdir()
    return tree


def _keep(tree: Path, work: Path, place: Path) -> None:
    fresh = place.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shutil.copy(tree / "python", fresh / "python")
    shutil.copytree(tree / "Lib", fresh / "library", ignore=shutil.ignore_patterns("__pycache__", "test", "tests"))
    (fresh / "licences").mkdir()
    shutil.copy(tree / "LICENSE", fresh / "licences/LICENSE.python")
    for source, name in (("libffi", "LICENSE"), ("zlib", "README")):
        [folder] = (work / "unpacked" / source).iterdir()
        shutil.copy(folder / name, fresh / "licences" / f"LICENSE.{source}")
    fresh.rename(place)


def _run(command: list[str], place: Path, environment: dict[str, str] | None = None) -> None:
    """Standard output is what a caller prints, so a tool's own goes to standard error."""
    subprocess.run(command, cwd=place, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
