"""The kernel packages of a base come from ``rpm-ostree db list``, whole or not at all."""

import asyncio
import shlex

import pytest

from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.nevra import Nevra
from mcd_rt.observed import base
from tests.effects_double import EffectsDouble
from tests.leaks import run

CHECKSUM = "c" * 64
LIST = f"""\
ostree commit: {CHECKSUM} ({CHECKSUM})
 bash-5.1.8-6.el9.x86_64
 kernel-modules-5.14.0-284.el9.x86_64
 kernel-core-5.14.0-284.el9.x86_64
 kernel-tools-libs-2:5.14.0-284.el9.x86_64
  kernel-indented-1-1.x86_64
 kernel-broken
kernel-headline-1-1.x86_64
"""


@pytest.fixture
def command(tmp_path):
    """Write the command of a root, as a shell script."""

    def write(script):
        path = tmp_path / "usr/bin/rpm-ostree"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return HostPaths(tmp_path)

    return write


def listed(paths, effects=None):
    return run(base.list_kernel_packages(effects or HostEffects(), paths, CHECKSUM))


def failure_of(paths):
    async def main():
        with pytest.raises(AgentError) as caught:
            await base.list_kernel_packages(HostEffects(), paths, CHECKSUM)
        return caught.value.failure

    failure = run(main())
    assert failure.code is Code.RPM_OSTREE_UNAVAILABLE
    assert "db list" in failure.message
    assert failure.hint
    return failure


def test_the_kernel_packages_are_listed_in_order(command):
    effects = EffectsDouble()
    paths = command(f"cat <<'END'\n{LIST}END")
    assert listed(paths, effects) == (
        Nevra("kernel-core", 0, "5.14.0", "284.el9", "x86_64"),
        Nevra("kernel-modules", 0, "5.14.0", "284.el9", "x86_64"),
        Nevra("kernel-tools-libs", 2, "5.14.0", "284.el9", "x86_64"),
    )
    assert effects.subjects("spawn") == [f"{paths.below('/usr/bin/rpm-ostree')} db list {CHECKSUM}"]


def test_a_long_list_is_read_to_its_end(command):
    paths = command(f"seq -f ' kernel-%06.0f-1-1.x86_64' 20000; printf ' kernel-last-1-1.%s' {shlex.quote('x86_64')}")
    found = listed(paths)
    assert len(found) == 20001
    assert found[-1].name == "kernel-last"


def test_it_sees_no_environment_but_its_own(command, monkeypatch):
    monkeypatch.setenv("SECRET", "kernel")
    paths = command('[ "$SECRET$LC_ALL" = C ] && echo " kernel-core-1-1.x86_64"')
    assert [package.name for package in listed(paths)] == ["kernel-core"]


def test_a_base_without_a_kernel_has_no_kernel_packages(command):
    assert listed(command("echo ' bash-5.1.8-6.el9.x86_64'")) == ()


def test_an_absent_command_is_told(tmp_path):
    failure = failure_of(HostPaths(tmp_path))
    assert "No such file" in failure.message


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 1", "exit status 1"),
        ("echo ' kernel-core-1-1.x86_64'; exit 3", "exit status 3"),
        ("exit 0", "exit status 0"),
        ("kill -9 $$", "exit status -9"),
    ],
)
def test_half_an_answer_is_none(command, script, told):
    assert told in failure_of(command(script)).message


@pytest.mark.parametrize("script", ["exec sleep 1000", "echo ' kernel-core-1-1.x86_64'; exec >&- <&-; exec sleep 1000"])
def test_a_command_that_never_ends_is_killed(command, monkeypatch, script):
    monkeypatch.setattr(base, "_TIMEOUT", 0.3)
    assert "no answer in 0.3 s" in failure_of(command(script)).message


def test_an_endless_list_is_not_read_for_ever(command, monkeypatch):
    monkeypatch.setattr(base, "_TIMEOUT", 0.5)
    monkeypatch.setattr(base, "_MAX_OUTPUT", 65536)
    assert "no answer in 0.5 s" in failure_of(command("exec yes ' kernel-core-1-1.x86_64'")).message


def test_cancelling_it_kills_the_command(command):
    paths = command("echo started; exec sleep 1000")

    async def main():
        spawned = asyncio.Event()

        class Watched(EffectsDouble):
            async def spawn(self, argv, environment):
                child = await super().spawn(argv, environment)
                spawned.set()
                return child

        listing = asyncio.ensure_future(base.list_kernel_packages(Watched(), paths, CHECKSUM))
        await spawned.wait()
        listing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listing

    run(main())
