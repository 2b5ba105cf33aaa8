"""The OS is ours to update (``os.manage = "image"``): it comes out of its image into real ostree, with its kernel."""

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
SETTINGS = '[os]\nmanage = "image"\n'
FIRST, NEXT = "416.94.202405090606-0", "418.94.202410010606-0"


def versions(host: Host) -> list[str]:
    """Of the deployments, the booted one first."""
    lines = host.machine.run("ostree", "admin", "status").splitlines()
    return [line.split()[1] for line in lines if line.strip().startswith("Version: ")]


def test_an_os_and_its_kernel_come_out_of_an_image_in_one_assembly_and_one_reboot_each_way(os_host: Host):
    host = os_host
    commit = ["ostree", "--repo=/ostree/repo", "show", host.bases[1].checksum]
    host.configure(SETTINGS)
    host.boot()
    assert host.machine.attempt(*commit).returncode != 0
    host.ask_for(KernelType.REALTIME, release=1)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    assert host.machine.run(*commit).startswith(f"commit {host.bases[1].checksum}")
    assert versions(host) == [NEXT, FIRST]
    assert host.status()["kernel_release"] == "5.14.0-427.rt14.427.el9.x86_64+rt"
    told = host.transactions()
    assert [line.split()[1] for line in told] == ["UpdateDeployment", "FinalizeDeployment"]
    origin = host.machine.etc.parent.with_suffix(host.machine.etc.parent.suffix + ".origin").read_text()
    assert f"custom-url=pivot://{host.images[1].place}@{host.images[1].digest}\n" in origin
    assert f"refspec={host.bases[1].checksum}\n" in origin

    host.ask_for(KernelType.DEFAULT, release=0)
    host.wait_reboot()
    host.journal.wait_for(STEADY_DEFAULT)
    assert versions(host) == [FIRST, NEXT]
    assert host.status()["kernel_release"] == "5.14.0-284.el9.x86_64"
    assert [line.split()[1] for line in host.transactions()] == ["UpdateDeployment", "FinalizeDeployment"] * 2
    assert host.machine.boots == 3
    assert host.machine.attempt("mcd-rt", "plan").returncode == 0
