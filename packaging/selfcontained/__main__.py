"""Makes the self-contained package: ``python packaging/selfcontained rpm --output DIR``.

Needs Linux with Debian's or another apt that can fetch Debian's sources, make, patch, rpmbuild and a network for two
registries; no root, no compiler of the machine's. The first build takes some minutes; the interpreter and the
compiler are kept in `--cache` for the next. ``host-files`` is for the spec.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from elf import newest_glibc
from hostfiles import install_host_files, list_files
from identity import identity
from interpreter import EPOCH, GLIBC, SUITE, build_interpreter
from tree import assemble, summary

T = TypeVar("T")
TOP = Path(__file__).resolve().parents[2]
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcd-rt-packaging"


def main() -> int:
    """Do what the command line says; 0 where it went well."""
    parser = argparse.ArgumentParser(prog="python packaging/selfcontained", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, told in (("rpm", "build the RPMs"), ("tree", "only lay out their files")):
        made = verbs.add_parser(verb, help=told)
        made.add_argument("--output", type=Path, required=True, help="a directory for what is made")
        made.add_argument("--cache", type=Path, default=_CACHE, help="what is kept between builds: %(default)s")
        made.add_argument("--mirror", default="", help="of Debian; default: the one this machine uses")
        made.add_argument("--if-changed", action="store_true", help="only where what is there is of another tree")
    for_spec = verbs.add_parser("host-files", help="install what is not the program, and list it all for rpmbuild")
    for_spec.add_argument("root", type=Path)
    for_spec.add_argument("lists", type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "host-files":
        return _host_files(arguments.root, arguments.lists)
    output, cache = arguments.output.absolute(), arguments.cache.absolute()
    for folder in (output, cache):
        folder.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one build at a time: the tests of several processes may all want one
        _build(arguments, output, cache)
    return 0


def _build(arguments: argparse.Namespace, output: Path, cache: Path) -> None:
    tree, made_from = output / "tree", output / "made-from"
    now = f"{arguments.verb} {identity(TOP)}"
    if arguments.if_changed and made_from.exists() and made_from.read_text() == now:
        print(f"{output} is of this tree")
        return
    made_from.unlink(missing_ok=True)
    interpreter = _timed("interpreter", lambda: build_interpreter(cache, mirror=arguments.mirror or _own_mirror()))
    _timed("files", lambda: assemble(tree, interpreter, TOP, cache))
    _refuse_new_symbols(tree)
    _measure(tree)
    if arguments.verb == "tree":
        install_host_files(tree, TOP)
    else:
        for rpm in _timed("rpmbuild", lambda: build_rpms(tree, output)):
            print(f"{rpm}: {rpm.stat().st_size / 1e6:.1f} MB")
    made_from.write_text(now)


def build_rpms(tree: Path, output: Path) -> list[Path]:
    """Pack the tree; the same tree gives the same bytes. Packages of an earlier build make room."""
    for earlier in output.glob("mcd-rt-*.rpm"):
        earlier.unlink()
    with tempfile.TemporaryDirectory() as work:
        defines = {
            "_topdir": work,
            "_rpmdir": str(output),
            "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
            "tree": str(tree),
            "lists": f"{work}/lists",
            "layout": str(Path(__file__).resolve().parent),
            "python3": sys.executable,
            "version_of_agent": _version(tree),
        }
        words = [word for key, value in defines.items() for word in ("-D", f"{key} {value}")]
        order = [
            "rpmbuild",
            "-bb",
            "--quiet",
            "--with",
            "selfcontained",
            *words,
            str(TOP / "packaging/rpm/mcd-rt.spec"),
        ]
        _run(order, SOURCE_DATE_EPOCH=EPOCH)
    return sorted(output.glob("*.rpm"))


def _host_files(root: Path, lists: Path) -> int:
    install_host_files(root, TOP)
    lists.mkdir(parents=True, exist_ok=True)
    found = list_files(root)
    for name in found._fields:
        (lists / f"{name}.files").write_text("\n".join(getattr(found, name)) + "\n")
    return 0


def _own_mirror() -> str:
    order = ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}"]
    found = subprocess.run(order, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    if not found:
        sys.exit(f"this machine's apt knows no mirror of Debian {SUITE}: name one with --mirror")
    return found[0]


def _refuse_new_symbols(tree: Path) -> None:
    limit = tuple(int(part) for part in GLIBC.split("."))
    found = {file: newest_glibc(file) for file in tree.rglob("*") if file.is_file() and not file.is_symlink()}
    for file, version in found.items():
        if version > limit:
            sys.exit(f"{file} needs glibc {version[0]}.{version[1]}, EL8 has {GLIBC}")
    newest = max(found.values())
    print(
        f"{sum(version > (0, 0) for version in found.values())} ELF files, newest symbol GLIBC_{newest[0]}.{newest[1]}"
    )


def _measure(tree: Path) -> None:
    print(f"megabytes: {summary(tree)}")
    for words in (["--version"], ["settings"]):
        taken = []
        for _ in range(5):
            started = time.monotonic()
            environment = {"MCD_RT_ROOT": str(tree)}
            order = [str(tree / "usr/bin/mcd-rt"), *words]
            subprocess.run(order, check=True, stdout=subprocess.DEVNULL, env=environment)
            taken.append(time.monotonic() - started)
        print(f"mcd-rt {' '.join(words)}: {min(taken) * 1000:.0f} ms")


def _version(tree: Path) -> str:
    order = [str(tree / "usr/bin/mcd-rt"), "--version"]
    return subprocess.run(order, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]


def _timed(what: str, step: Callable[[], T]) -> T:
    started = time.monotonic()
    result = step()
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)
    return result


def _run(command: list[str], **environment: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=os.environ | environment)


if __name__ == "__main__":
    sys.exit(main())
