"""Host facts come from files below the root, in the spelling of each release."""

import errno
import platform
from pathlib import Path

import pytest

from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.host import Host
from mcd_rt.observed.host import read_host

EL9 = {
    "etc/os-release": 'NAME="RHCOS"\nID="rhcos"\n# a comment\n\nVARIANT_ID=coreos\nVERSION_ID="4.16"\n',
    "proc/sys/kernel/osrelease": "5.14.0-284.rt14.el9.x86_64+rt\n",
    "proc/sys/kernel/version": "#1 SMP PREEMPT_RT Thu Jan 1 00:00:00 UTC 1970\n",
    "proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
    "proc/cmdline": "BOOT_IMAGE=(hd0)/vmlinuz root=UUID=1 rw\n",
    "proc/sys/crypto/fips_enabled": "0\n",
    "sys/kernel/realtime": "1\n",
    "run/ostree-booted": "",
}


def host(root, **changed):
    for name, content in (EL9 | changed).items():
        if content is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_host(HostPaths(root))


def test_a_realtime_node_is_read(tmp_path):
    assert host(tmp_path) == Host(
        os_id="rhcos",
        os_variant="coreos",
        os_version="4.16",
        architecture="x86_64",
        boot_id="11111111-2222-3333-4444-555555555555",
        kernel_release="5.14.0-284.rt14.el9.x86_64+rt",
        realtime=True,
        ostree=True,
        fips=False,
        kernel_arguments=("BOOT_IMAGE=(hd0)/vmlinuz", "root=UUID=1", "rw"),
        layering_locked="",
    )


@pytest.mark.parametrize(
    ("flag", "version", "realtime"),
    [
        ("1\n", "#1 SMP PREEMPT_DYNAMIC", True),
        ("0\n", "#1 SMP PREEMPT_RT", False),
        (None, "#1 SMP PREEMPT RT Thu", True),
        (None, "#1 SMP PREEMPT_RT Thu", True),
        (None, "#1 SMP PREEMPT_DYNAMIC Thu", False),
        (None, "#1 SMP Thu", False),
    ],
)
def test_a_realtime_kernel_is_known_by_its_flag_or_else_by_its_version(tmp_path, flag, version, realtime):
    changed = {"sys/kernel/realtime": flag, "proc/sys/kernel/version": version}
    assert host(tmp_path, **changed).realtime is realtime


@pytest.mark.parametrize(
    ("told", "release", "architecture"),
    [
        ("aarch64\n", "6.1.0-1.el9.x86_64", "aarch64"),
        (None, "4.18.0-193.el8.x86_64", "x86_64"),
        (None, "5.14.0-284.rt14.el9.aarch64+rt", "aarch64"),
        (None, "6.6.0-custom", platform.machine()),
        (None, "6.6.0", platform.machine()),
    ],
)
def test_the_architecture_is_told_or_the_end_of_the_release(tmp_path, told, release, architecture):
    changed = {"proc/sys/kernel/arch": told, "proc/sys/kernel/osrelease": release}
    assert host(tmp_path, **changed).architecture == architecture


@pytest.mark.parametrize(
    ("text", "os_id"),
    [
        ("ID=rhcos", "rhcos"),
        ("ID='rhcos'", "rhcos"),
        ('ID="rh cos"', "rh cos"),
        ("ID=", ""),
        ("ID", ""),
        ('ID="unbalanced', '"unbalanced'),
        ("NAME=x", ""),
        (b"ID=\xff", "\ufffd"),
    ],
)
def test_os_release_is_read_as_a_shell_would_as_far_as_it_can_be(tmp_path, text, os_id):
    assert host(tmp_path, **{"etc/os-release": text}).os_id == os_id


def test_os_release_of_the_vendor_stands_in(tmp_path):
    changed = {"etc/os-release": None, "usr/lib/os-release": "ID=scos\n"}
    assert host(tmp_path, **changed).os_id == "scos"


@pytest.mark.parametrize(
    "missing",
    ["proc/sys/kernel/osrelease", "proc/sys/kernel/random/boot_id", "etc/os-release"],
)
def test_a_fact_that_cannot_be_read_is_named(tmp_path, missing):
    with pytest.raises(AgentError) as caught:
        host(tmp_path, **{missing: None})
    failure = caught.value.failure
    assert failure.code is Code.HOST_UNREADABLE
    expected = "usr/lib/os-release" if missing == "etc/os-release" else missing
    assert str(tmp_path / expected) in failure.message
    assert failure.hint


def test_the_version_is_only_needed_without_the_flag(tmp_path):
    assert host(tmp_path / "with", **{"proc/sys/kernel/version": None}).realtime
    with pytest.raises(AgentError):
        host(tmp_path / "without", **{"proc/sys/kernel/version": None, "sys/kernel/realtime": None})


@pytest.mark.parametrize(
    ("os_id", "variant", "booted", "supported"),
    [
        ("rhcos", "", "", True),
        ("scos", "", "", True),
        ("rhel", "coreos", "", True),
        ("centos", "coreos", "", True),
        ("rhel", "", "", False),
        ("fedora", "coreos", "", False),
        ("fedora", "server", "", False),
        ("", "", "", False),
        ("rhcos", "", None, False),
    ],
)
def test_only_image_based_hosts_of_these_kinds_are_served(tmp_path, os_id, variant, booted, supported):
    changed = {"etc/os-release": f"ID={os_id}\nVARIANT_ID={variant}\n", "run/ostree-booted": booted}
    assert host(tmp_path, **changed).supported is supported


def test_paths_are_below_the_root(tmp_path):
    paths = HostPaths(tmp_path)
    assert paths.below("/etc/x") == tmp_path / "etc/x"
    assert paths.settings == tuple(tmp_path / top / "mcd-rt/config.d" for top in ("usr/lib", "run", "etc"))
    assert {paths.record, paths.cache, paths.status, paths.control, paths.lock} == {
        tmp_path / "var/lib/mcd-rt/record.json",
        tmp_path / "var/cache/mcd-rt",
        tmp_path / "run/mcd-rt/status.json",
        tmp_path / "run/mcd-rt/control.sock",
        tmp_path / "run/mcd-rt/lock",
    }


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("rw\n", ("rw",)),
        (
            'BOOT_IMAGE=/vmlinuz "dyndbg=file a.c +p" rw rw\n',
            ("BOOT_IMAGE=/vmlinuz", '"dyndbg=file a.c +p"', "rw", "rw"),
        ),
        ('a="b c\n', ('a="b', "c")),
        ("\n", ()),
    ],
)
def test_the_arguments_of_the_running_kernel_are_read_whatever_somebody_typed(tmp_path, text, arguments):
    assert host(tmp_path, **{"proc/cmdline": text}).kernel_arguments == arguments


@pytest.mark.parametrize(("flag", "fips"), [("1\n", True), ("0\n", False), (None, False)])
def test_fips_mode_is_told_by_the_kernel(tmp_path, flag, fips):
    assert host(tmp_path, **{"proc/sys/crypto/fips_enabled": flag}).fips is fips


@pytest.mark.parametrize(
    ("name", "content", "locked"),
    [
        ("etc/rpm-ostreed.conf", "[Daemon]\nLockLayering=true\n", True),
        ("etc/rpm-ostreed.conf", "[Daemon]\n LockLayering = Yes \n", True),
        ("etc/rpm-ostreed.conf", "[Daemon]\n#LockLayering=true\n", False),
        ("etc/rpm-ostreed.conf", "[Daemon]\nLockLayering=false\n", False),
        ("etc/rpm-ostreed.conf", "[Daemon]\nAutomaticUpdatePolicy=none\n", False),
        ("etc/machine-config-daemon/currentimage", f"registry.example/pool@sha256:{'a' * 64}", True),
        ("etc/machine-config-daemon/currentimage", "", False),
    ],
)
def test_a_host_whose_packages_may_not_be_changed_says_who_said_so(tmp_path, name, content, locked):
    said = host(tmp_path, **{name: content}).layering_locked
    assert bool(said) is locked
    assert not locked or str(tmp_path / name) in said


def test_what_nobody_may_look_at_is_a_failure_and_no_guess(tmp_path, monkeypatch):
    """It may be there: a host whose layering is locked is not one that is free because a directory is closed."""
    host(tmp_path)
    closed, stat = tmp_path / "etc/machine-config-daemon/currentimage", Path.stat

    def refuse(self, **how):
        if self == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(AgentError, match="currentimage: Permission denied") as caught:
        read_host(HostPaths(tmp_path))
    assert caught.value.failure.code is Code.HOST_UNREADABLE
