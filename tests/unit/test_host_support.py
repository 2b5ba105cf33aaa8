"""Which hosts are served: every os-release of the reference 5.1, as it is on the host."""

import pytest

from mcd_rt.hostpaths import HostPaths
from mcd_rt.observed.host import read_host

RHCOS_44 = """\
NAME="Red Hat Enterprise Linux CoreOS"
VERSION="44.82.202004090606-0"
VERSION_ID="4.4"
OPENSHIFT_VERSION="4.4"
RHEL_VERSION=8.1
PRETTY_NAME="Red Hat Enterprise Linux CoreOS 44.82.202004090606-0 (Ootpa)"
ID="rhcos"
ID_LIKE="rhel fedora"
OSTREE_VERSION='44.82.202004090606-0'
"""
RHCOS_416 = """\
NAME="Red Hat Enterprise Linux CoreOS"
ID="rhcos"
ID_LIKE="rhel fedora"
VERSION="416.94.202405090606-0"
VERSION_ID="4.16"
VARIANT="CoreOS"
VARIANT_ID=coreos
RHEL_VERSION=9.4
"""
RHCOS_419 = """\
NAME="Red Hat Enterprise Linux CoreOS"
VERSION="9.6.20250402-0 (Plow)"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.6"
VARIANT="CoreOS"
VARIANT_ID=coreos
OPENSHIFT_VERSION="4.19"
"""
SCOS = 'NAME="CentOS Stream CoreOS"\nID="scos"\nID_LIKE="rhel fedora"\nVERSION_ID="4.16"\nVARIANT_ID=coreos\n'
CENTOS_COREOS = 'NAME="CentOS Stream CoreOS"\nID="centos"\nVERSION_ID="9"\nVARIANT="CoreOS"\nVARIANT_ID=coreos\n'
FCOS = 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=40\nVARIANT="CoreOS"\nVARIANT_ID=coreos\n'
FEDORA_SERVER = 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=40\nVARIANT="Server Edition"\nVARIANT_ID=server\n'
SILVERBLUE = 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=40\nVARIANT="Silverblue"\nVARIANT_ID=silverblue\n'
CENTOS_STREAM = 'NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n'
RHEL_7 = 'NAME="Red Hat Enterprise Linux Server"\nID="rhel"\nVARIANT="Server"\nVARIANT_ID="server"\nVERSION_ID="7.9"\n'
RHEL_8 = 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="8.10"\n'
RHEL_9 = 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n'


def host(root, os_release, *, ostree):
    files = {
        "etc/os-release": os_release,
        "proc/sys/kernel/osrelease": "5.14.0-284.el9.x86_64\n",
        "proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC\n",
        "proc/cmdline": "root=UUID=1 rw\n",
        "proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
    }
    for name, text in (files | ({"run/ostree-booted": ""} if ostree else {})).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_host(HostPaths(root))


@pytest.mark.parametrize("os_release", [RHCOS_44, RHCOS_416, RHCOS_419, SCOS, CENTOS_COREOS])
def test_these_are_served_where_they_booted_from_ostree(tmp_path, os_release):
    assert host(tmp_path / "ostree", os_release, ostree=True).supported
    assert not host(tmp_path / "packages", os_release, ostree=False).supported


@pytest.mark.parametrize("ostree", [False, True], ids=["packages", "image"])
@pytest.mark.parametrize(
    "os_release", [FCOS, FEDORA_SERVER, SILVERBLUE, CENTOS_STREAM, RHEL_7, RHEL_8, RHEL_9, "", 'ID="rhel'], ids=repr
)
def test_these_are_not_whichever_way_they_are_installed(tmp_path, os_release, ostree):
    """RHEL and Fedora in package mode, and in image mode (bootc), which booted from ostree but has no such variant."""
    assert not host(tmp_path, os_release, ostree=ostree).supported
