"""What the previous boot left behind: the finalizer's words, and GRUB's environment."""

import pytest

from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.evidence import Evidence
from mcd_rt.observed import command
from mcd_rt.observed.previous_boot import read_evidence
from tests.leaks import run

NO_ROOM = "error: Installing kernel: regfile copy: No space left on device"
LATE = "error: ostree-finalize-staged.service failed on previous boot: No space left on device"


@pytest.fixture
def host(tmp_path):
    """A root whose journalctl says one thing of the previous boot, and another of this one."""

    def write(previous="exit 1", now="exit 1", grubenv=None):
        program = tmp_path / "usr/bin/journalctl"
        program.parent.mkdir(parents=True)
        asked = tmp_path / "asked"
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {asked}\ncase "$*" in\n'
            f'"-b -1 -u ostree-finalize-staged.service -o cat "*) {previous};;\n'
            f'"-b 0 -u ostree-boot-complete.service -o cat "*) {now};;\n*) echo "error: $*";;\nesac\n'
        )
        program.chmod(0o755)
        if grubenv is not None:
            file = tmp_path / "boot/grub2/grubenv"
            file.parent.mkdir(parents=True)
            file.write_bytes(grubenv)
        return HostPaths(tmp_path)

    return write


def evidence(paths):
    return run(read_evidence(HostEffects(), paths))


def test_nothing_is_known_of_a_host_that_keeps_nothing(tmp_path):
    assert evidence(HostPaths(tmp_path)) == Evidence(None, boot_counted=False)


def test_the_finalizers_words_are_read_and_only_once_where_they_say_why(host):
    paths = host(f"echo Finalizing staged deployment; echo '{NO_ROOM}'", now=f"echo '{LATE}'")
    assert evidence(paths).finalizer == ("Finalizing staged deployment", NO_ROOM)
    assert len((paths.root / "asked").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("previous", "now", "log"),
    [
        ("exit 1", "exit 1", None),
        ("echo -- No entries --", "exit 1", ()),
        ("echo -- No entries --", "echo ostree boot is complete", ()),
        ("exit 1", "echo ostree boot is complete", None),
        ("exit 1", f"echo Starting; echo '{LATE}'", (LATE,)),
        ("echo Finalizing staged deployment", f"echo '{LATE}'", ("Finalizing staged deployment", LATE)),
        (f"echo '{NO_ROOM}'; exit 1", "exit 1", None),
        ("printf 'a\\377b\\n'", "exit 1", ("a\ufffdb",)),
    ],
)
def test_an_error_that_the_journal_lost_is_what_this_boot_says_of_it(host, previous, now, log):
    assert evidence(host(previous, now)).finalizer == log


@pytest.mark.parametrize(
    ("grubenv", "counted"),
    [
        (b"# GRUB Environment Block\nboot_success=0\nboot_counter=-1\n#####", True),
        (b"boot_counter=-1\n", True),
        (b"# GRUB Environment Block\nboot_counter=1\nboot_success=1\n#####", False),
        (b"# GRUB Environment Block\nsaved_boot_counter=-1\n", False),
        (b"boot_counter=-10\n", False),
        (b"", False),
        (b"\0" * 5000 + b"\nboot_counter=-1\n", False),
    ],
)
def test_boot_counting_that_gave_up_is_seen_in_grubs_environment(host, grubenv, counted):
    assert evidence(host(grubenv=grubenv)).boot_counted is counted


def test_a_journal_that_is_endless_is_not_heard_out(host):
    assert evidence(host("exec yes Finalizing")).finalizer is None


def test_a_journal_that_says_nothing_is_not_waited_for(host, monkeypatch):
    monkeypatch.setattr(command, "_TIMEOUT", 0.05)
    assert evidence(host("exec sleep 600", "exec sleep 600")).finalizer is None
