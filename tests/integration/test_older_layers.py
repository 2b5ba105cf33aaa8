"""Asked for all of an image, a fetch also knows what lies in layers it leaves alone, and believes no worker more."""

import sys
from pathlib import Path

import pytest

from mcd_rt.content import cache, frames, receive
from mcd_rt.content.fetch import Fetched, fetch_image
from mcd_rt.content.frames import DoneFrame, Extent, FileFrame, PackageFrame
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Judge
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from tests.effects_double import EffectsDouble
from tests.leaks import run

WORKER = (sys.executable, "-c", "import mcd_rt.content.worker as w; raise SystemExit(w.serve_standard_input())")
RT = kernel_rt_packages("5.14.0", "284.rt14.el9", "x86_64", 9)
NAMES = tuple(name.rpartition("-5.14.0")[0] for name in RT)
KVM = next(name for name in RT if "-kvm-" in name)
REST = {name: data for name, data in RT.items() if name != KVM}


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    write_keys(tmp_path / "host")
    return HostPaths(tmp_path / "host")


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    layers = [Layer({KVM: RT[KVM]}), Layer(REST)]
    return write_layout(tmp_path / "layout", layers, tag="rt", architecture="x86_64")


def fetched(
    paths: HostPaths, image: ImageReference, extent: Extent, worker: tuple[str, ...] = WORKER
) -> tuple[Fetched, list[tuple[int, int]]]:
    progress: list[tuple[int, int]] = []
    found = run(
        fetch_image(
            EffectsDouble(),
            ContentSettings(idle_timeout=20, fetch_timeout=20),
            paths,
            image,
            NAMES,
            lambda *said: progress.append(said),
            host=paths,
            worker_argv=worker,
            architecture="x86_64",
            extent=extent,
        )
    )
    return found, progress


def test_what_is_in_older_layers_is_known_only_if_it_was_asked_for(paths, image):
    kernel, read = fetched(paths, image, Extent.KERNEL)
    whole, all_read = fetched(paths, image, Extent.ALL)
    assert (kernel.unread, [f"{nevra}.rpm" for nevra in whole.unread]) == ((), [KVM])
    assert whole.content == kernel.content
    assert {f"{package.nevra}.rpm" for package in whole.content.packages} == set(REST)
    assert read[-1][0] < all_read[-1][0] == all_read[0][1]
    assert len(list(cache.entry_of(paths, image.digest).iterdir())) == len(REST) + 1


def scripted(*answer: object) -> tuple[str, ...]:
    data = b"".join(map(frames.encode, answer))
    code = f"""
import os, socket
connection = socket.socket(fileno=os.dup(0))
connection.recv(65536)
connection.sendall({data!r})
connection.recv(1)
"""
    return (sys.executable, "-I", "-S", "-c", code)


TOLD = PackageFrame(Nevra("kernel-rt-kvm", 0, "1", "1", "x86_64"), "", (), (), Judge.NOBODY)
BASH = PackageFrame(Nevra("bash", 0, "1", "1", "x86_64"), "", (), (), Judge.NOBODY)
LIES = [
    (Extent.ALL, (BASH, DoneFrame()), "told of bash-1-1.x86_64, which nobody asked for"),
    (Extent.ALL, (TOLD, TOLD, TOLD, DoneFrame()), "told of more than 2 packages"),
    (Extent.ALL, (FileFrame("a", 3), TOLD), "sent PackageFrame with 3 bytes of a file to come"),
    (Extent.KERNEL, (TOLD, DoneFrame()), "sent PackageFrame where a file or the end was due"),
]


@pytest.mark.parametrize(("extent", "answer", "message"), LIES, ids=[message for *_, message in LIES])
def test_a_worker_that_tells_too_much_is_not_believed(paths, image, monkeypatch, extent, answer, message):
    monkeypatch.setattr(receive, "MAX_TOLD", 2)
    with pytest.raises(AgentError, match=message) as caught:
        fetched(paths, image, extent, scripted(*answer))
    assert caught.value.failure.code is Code.WORKER_FAILED
    assert list(paths.cache.iterdir()) == []
