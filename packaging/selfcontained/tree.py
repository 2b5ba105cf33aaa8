"""Lays out what the self-contained package adds to a host: the interpreter, its library, the agent and its libraries.

Bytecode is made here and never checked against the source's time: ostree sets the time of every file to the
same value, which would have Python compile everything again at each start, in a place where it may not write.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from interpreter import EPOCH, Interpreter

_PRIVATE = "usr/lib/mcd-rt/python"
_UNUSED = (
    "ensurepip", "idlelib", "tkinter", "turtledemo", "turtle.py", "lib2to3", "distutils", "pydoc_data",
    "pydoc.py", "sqlite3", "curses", "dbm", "venv", "unittest", "doctest.py", "multiprocessing", "xmlrpc",
    "msilib", "wsgiref/validate.py", "asyncio/windows_events.py", "asyncio/windows_utils.py", "ctypes/macholib",
    "__phello__", "this.py", "antigravity.py", "nntplib.py", "smtplib.py", "smtpd.py", "ftplib.py",
    "imaplib.py", "poplib.py", "telnetlib.py", "mailbox.py", "site-packages", "cgi.py", "cgitb.py", "pdb.py",
    "pickletools.py", "webbrowser.py",
)  # fmt: skip
"""Of the standard library: what nothing here imports, a megabyte in all, and much that could listen or send."""

_WITHOUT_TLS = (
    ("import base64\n", "from __future__ import annotations\n\nimport base64\n"),
    ("import ssl\n", ""),
    (" HTTPRedirectHandler, HTTPSHandler,\n", " HTTPRedirectHandler,\n"),
    ("ssl.PROTOCOL_TLS_SERVER,", "17,"),
    ("ssl.PROTOCOL_TLS_CLIENT,", "16,"),
)
"""In prometheus_client's exposition: it names TLS for what the agent does not use (pushing, and serving by itself)."""


def assemble(tree: Path, interpreter: Interpreter, top: Path, cache: Path) -> None:
    """Fill the directory `tree` as if it were ``/``; `top` is the project's checkout.

    Raises ``subprocess.CalledProcessError`` of pip or the interpreter.
    """
    shutil.rmtree(tree, ignore_errors=True)
    program = tree / "usr/libexec/mcd-rt/python"
    program.parent.mkdir(parents=True)
    shutil.copy(interpreter.python, program)
    program.chmod(0o755)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/mcd-rt").symlink_to("../libexec/mcd-rt/python")
    library = tree / _PRIVATE / "stdlib"
    shutil.copytree(interpreter.library, library)
    for name in _UNUSED:
        unused = library / name
        shutil.rmtree(unused) if unused.is_dir() else unused.unlink(missing_ok=True)
    _install_packages(tree / _PRIVATE / "site-packages", top, cache)
    shutil.copytree(interpreter.licences, tree / "usr/share/licenses/mcd-rt")
    shutil.copy(top / "LICENSE", tree / "usr/share/licenses/mcd-rt/LICENSE")
    _drop_interpreter_lines(tree / _PRIVATE)
    _compile(tree, program)
    _settle(tree, program)


def _install_packages(site: Path, top: Path, cache: Path) -> None:
    """The locked libraries, as wheels for the oldest host, and the agent."""
    machine = os.uname().machine
    platforms = [f"manylinux_2_28_{machine}", f"manylinux_2_17_{machine}", f"manylinux2014_{machine}"]
    wheels = cache / "wheels"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    chosen = [word for platform in platforms for word in ("--platform", platform)]
    where = ["--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:", *chosen]
    locked = ["--require-hashes", "-r", str(top / "packaging/requirements.txt")]
    _run([*pip, "download", "--no-deps", "--dest", str(wheels), *where, *locked])
    install = [*pip, "install", "--no-deps", "--no-compile", "--no-index", "--target", str(site)]
    _run([*install, "--find-links", str(wheels), *where, *locked])
    ours = cache / "agent"
    shutil.rmtree(ours, ignore_errors=True)
    _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(ours), str(top)])
    [wheel] = ours.glob("*.whl")
    _run([*install, str(wheel)])
    for folder in ("bin", "share"):  # the manual and completions go to their own places, by hostfiles.py
        shutil.rmtree(site / folder, ignore_errors=True)
    for unused in [*site.glob("zstandard/_cffi*"), *site.rglob("*.pyi"), *site.rglob("direct_url.json")]:
        unused.unlink()
    _tell_of_no_tls(site / "prometheus_client/exposition.py")


def _tell_of_no_tls(module: Path) -> None:
    text = module.read_text()
    for old, new in _WITHOUT_TLS:
        if text.count(old) != 1:
            sys.exit(f"{module} has changed: it does not say {old!r} once")
        text = text.replace(old, new)
    module.write_text(text)


def _drop_interpreter_lines(library: Path) -> None:
    """Nothing in there is a program, and no host needs a Python for it."""
    for module in library.rglob("*.py"):
        first, newline, rest = module.read_bytes().partition(b"\n")
        if first.startswith(b"#!"):
            module.write_bytes(newline + rest)


def _compile(tree: Path, program: Path) -> None:
    order = [str(program), "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    _run([*order, "-s", str(tree), "-p", "/", str(tree / _PRIVATE)])


def _settle(tree: Path, program: Path) -> None:
    """Times and modes that do not depend on who built it, or when."""
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path == program else 0o644)
        os.utime(path, (int(EPOCH), int(EPOCH)), follow_symlinks=False)


def summary(tree: Path) -> str:
    """What it weighs, as JSON of megabytes."""
    parts = {
        "interpreter": "usr/libexec",
        "standard library": f"{_PRIVATE}/stdlib",
        "packages": f"{_PRIVATE}/site-packages",
    }
    sizes = {
        name: round(sum(path.lstat().st_size for path in (tree / part).rglob("*") if path.is_file()) / 1e6, 1)
        for name, part in parts.items()
    }
    return json.dumps(sizes)


def _run(command: list[str]) -> None:
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment)
