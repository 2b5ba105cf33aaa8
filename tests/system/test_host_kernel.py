"""A genuine real-time kernel: a virtual machine goes there and back, and the agent verifies what really runs."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.bases import Release, base_of
from mcd_rt.sim.image import EL9_SUFFIXES, Layer, build_rpm, write_layout
from tests.system.container import why_not
from tests.system.host.guest import Guest
from tests.system.host.kernels import fetch_kernel, install_kernel
from tests.system.host.machine import machine
from tests.system.host.scene import machine_config
from tests.system.host.sysroot import Sysroot
from tests.system.host.usrlayer import users_of, write_layer

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
ARGUMENTS = ("root=/dev/vda", "rw", "console=ttyS0", "systemd.unit=host.target", "systemd.show_status=0")
ARGUMENTS += ("systemd.journald.forward_to_console=1", "systemd.mask=serial-getty@ttyS0.service", "quiet", "panic=-1")
ARGUMENTS += tuple(f"systemd.mask=systemd-udev{unit}" for unit in ("d.service", "-trigger.service"))
ARGUMENTS += tuple(f"systemd.mask=systemd-udevd-{end}.socket" for end in ("control", "kernel"))
BOOT_TIMEOUT = 150.0
EVIDENCE = ("uname", "realtime", "verify", "unit", "status")
STORY = """\
#!/bin/sh
# In each boot: wait until the agent is content, note what an operator would look at, then ask for the next thing.
mkfifo /run/told; mcd-rt status --follow --json > /run/told &
while read -r line; do case $line in *'"state": "steady"'*) break;; esac; done < /run/told
kill $!
place=/var/evidence-$(uname -r); mkdir "$place"; cd "$place"
uname -rv > uname; cat /sys/kernel/realtime > realtime 2>/dev/null
mcd-rt verify > verify 2>&1; echo "exit status $?" >> verify
systemctl show mcd-rt --property=NRestarts,StatusText,User > unit; mcd-rt status > status
if [ -s realtime ]; then mv /etc/mcd-rt/next.yaml /etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml
else systemctl poweroff --no-block; fi
"""
UNIT = """\
[Unit]
After=mcd-rt.service
[Service]
ExecStart=/usr/lib/mcd-rt/story
"""


@pytest.fixture
def kernel_layer(tmp_path: Path) -> Path:
    """As for every host, with real kernels in it and nothing that pretends one."""
    layer = tmp_path / "layer"
    layer.mkdir()
    write_layer(layer)
    units = layer / "lib/systemd/system"
    for pretence in units.glob("mcd-rt*.service.d"):
        shutil.rmtree(pretence)
    (units / "simulated-kernel.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    (units / "story.service").write_text(UNIT)
    target = units / "host.target"
    target.write_text(target.read_text().replace("Wants=", "Wants=story.service "))
    story = layer / "lib/mcd-rt/story"
    story.write_text(STORY)
    story.chmod(0o755)
    return layer


def write_image(place: Path, kernel_release: str) -> ImageReference:
    version, number, *_ = kernel_release.split("-")
    packages = {}
    for suffix in EL9_SUFFIXES:
        nevra = Nevra.parse(f"kernel-rt-{suffix}-{version}-{number}.rt.x86_64")
        packages[f"{nevra}.rpm"] = build_rpm(nevra, kernel_release=kernel_release, payload=b"kernel")
    return write_layout(place, [Layer(packages)], tag="latest", architecture="x86_64")


def test_there_and_back_on_a_genuine_real_time_kernel(tmp_path: Path, kernel_layer: Path):
    kernels = {name: fetch_kernel(name, tmp_path / name) for name in ("amd64", "rt-amd64")}
    for name, kernel in kernels.items():
        install_kernel(kernel, tmp_path / name, kernel_layer / "lib/real-kernels")
    with machine(tmp_path / "host", kernel_layer) as hardware:
        image = write_image(tmp_path / "image", kernels["rt-amd64"].release)
        sysroot = Sysroot(hardware.place / "sysroot", kernel_layer / "lib/real-kernels")
        sysroot.place.mkdir()
        base = replace(base_of(Release.EL9, str(image)), kernel_release=kernels["amd64"].release)
        sysroot.install((base,), version="2024.9", users=users_of(kernel_layer), arguments=ARGUMENTS)
        shutil.copytree(tmp_path / "image", sysroot.var / "lib/image")
        etc = sysroot.default_entry().deployment / "etc"
        inside = replace(image, place="/var/lib/image")
        wanted = etc / "mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml"
        wanted.write_text(machine_config(KernelType.REALTIME, inside))
        (etc / "mcd-rt/next.yaml").write_text(machine_config(KernelType.DEFAULT, inside))
        guest = Guest(hardware.place, kernel_layer, hardware.groups)
        guest.make_disk(sysroot.place)
        reasons = [guest.boot(BOOT_TIMEOUT) for _ in range(2)]
        assert reasons == ["guest-reset", "guest-reset"], guest.console[-6000:]
        assert guest.boot(BOOT_TIMEOUT) == "guest-shutdown", guest.console[-6000:]
        check_evidence(guest, kernels["rt-amd64"].release, "PREEMPT_RT", "1\n")
        check_evidence(guest, kernels["amd64"].release, "PREEMPT_DYNAMIC", "")


def check_evidence(guest: Guest, release: str, preemption: str, realtime: str) -> None:
    found = {name: guest.read(f"/ostree/deploy/rhcos/var/evidence-{release}/{name}") for name in EVIDENCE}
    assert found["uname"].startswith(f"{release} "), found
    assert preemption in found["uname"]
    assert found["realtime"] == realtime
    assert found["verify"].endswith("exit status 0\n"), found
    assert "User=mcd-rt" in found["unit"]
    assert "NRestarts=0" in found["unit"]
    kind = "realtime" if realtime else "default"
    assert f"StatusText=steady: {kind} is wanted and runs ({release})" in found["unit"]
