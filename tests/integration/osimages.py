"""Asking real workers about the OS of an image, and judging what they leave."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcd_rt.content import cache, frames
from mcd_rt.content.osimage import Brought, fetch_os
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.ostree import build_os
from tests.effects_double import EffectsDouble
from tests.leaks import leaves_nothing, run

WORKER = (sys.executable, "-c", "import mcd_rt.content.worker as w; raise SystemExit(w.serve_standard_input())")
PROMPT = ContentSettings(idle_timeout=20, fetch_timeout=20)
KERNELS = ("kernel-5.14.0-284.el9.x86_64", "kernel-core-5.14.0-284.el9.x86_64")
UNAME = "5.14.0-284.el9.x86_64"
LARGE = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(20_000))
FILES = {"large": LARGE} | {f"f{n}": b"%d" % n for n in range(20)}
SYSTEM = build_os("416.94", (*KERNELS, "bash-5-1.el9.x86_64"), UNAME, files=FILES)
UNLISTED = build_os("416.94", (), UNAME, listed=False)
REPOSITORY = SYSTEM.repository()
COMMIT = next(name for name in SYSTEM.objects if name.endswith(".commit"))


def asked(
    paths: HostPaths,
    image: ImageReference,
    worker: tuple[str, ...] = WORKER,
    *,
    names: tuple[str, ...] = (),
    settings: ContentSettings = PROMPT,
    effects: EffectsDouble | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Brought:
    effects = effects or EffectsDouble()
    return run(fetch_os(effects, settings, paths, image, names, on_progress, worker_argv=worker, architecture="x86_64"))


def refused(paths: HostPaths, image: ImageReference, *worker: tuple[str, ...], **how: object) -> AgentError:
    """The failure, which leaves nothing: no entry, no file, no descriptor, no child."""
    before = left(paths)
    with leaves_nothing(), pytest.raises(AgentError) as caught:
        asked(paths, image, *worker, **how)
    assert left(paths) == before
    return caught.value


def left(paths: HostPaths) -> list[Path]:
    return [path for path in sorted(paths.cache.rglob("*")) if path != paths.cache / cache.OS]


def expect(error: AgentError, code: Code, message: str) -> None:
    assert (error.failure.code, message in error.failure.message) == (code, True), str(error.failure)
    assert error.failure.hint


def scripted(said: bytes, then: str = "") -> tuple[str, ...]:
    code = f"""
import os, socket
connection = socket.socket(fileno=os.dup(0))
connection.recv(65536)
connection.sendall({said!r})
{then}
"""
    return (sys.executable, "-I", "-S", "-c", code)


def said(*parts: object) -> bytes:
    return b"".join(part if isinstance(part, bytes) else frames.encode(part) for part in parts)
