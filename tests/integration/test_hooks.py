"""Hooks: which are run, as what, how they end; whatever they do, nothing of them is left and a failure says why."""

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest

from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code
from mcd_rt.hooks import ask
from mcd_rt.hooks.ask import HookAccess, run_hooks
from mcd_rt.hooks.protocol import Facts, Occasion
from mcd_rt.hooks.run import MOST_SHOWN
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import HooksSettings
from tests.effects_double import EffectsDouble
from tests.leaks import run

PRE, POST = Occasion.PRE_REBOOT, Occasion.POST_VERIFY
FACTS = Facts("0123", "realtime", "5.14.0-284.el9", "rhcos-1.0", "rendered-worker-1", "realtime is staged")


class Place:
    """A host's root with hooks; ``trace`` is what they write to, by order."""

    def __init__(self, root: Path) -> None:
        self.paths = HostPaths(root)
        self.trace = root / "trace"
        self.trace.touch()

    def directory(self, top="etc", occasion=PRE) -> Path:
        place = self.paths.below(f"/{top}/mcd-rt/{occasion}.d")
        place.mkdir(parents=True, exist_ok=True, mode=0o755)
        return place

    def hook(self, name, script="", top="etc", occasion=PRE, mode=0o755) -> Path:
        path = self.directory(top, occasion) / name
        path.write_text(f"#!/bin/sh\necho {top}/{name} >> {self.trace}\n{script}\n")
        path.chmod(mode)
        return path

    @property
    def ran(self) -> list[str]:
        return self.trace.read_text().splitlines()

    def access(self, effects=None, timeout=30.0, on_begun=lambda _hook: None) -> HookAccess:
        return HookAccess(effects or HostEffects(), self.paths, HooksSettings(timeout, "child"), on_begun)

    def run(self, occasion=PRE, **access):
        return run(run_hooks(self.access(**access), occasion, FACTS))


@pytest.fixture
def place(tmp_path):
    os.umask(0o022)
    return Place(tmp_path)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# Which are run


def test_without_hooks_nothing_is_started(place):
    place.directory()
    effects = EffectsDouble()
    assert place.run(effects=effects) is None
    assert effects.attempted == []


def test_hooks_run_in_the_order_of_their_names_wherever_they_are(place):
    place.hook("20-b", top="usr/lib")
    place.hook("10-a", top="etc")
    place.hook("30-c", top="etc")
    place.hook("10-not-now", occasion=POST)
    begun = []
    assert place.run(on_begun=begun.append) is None
    assert place.ran == ["etc/10-a", "usr/lib/20-b", "etc/30-c"]
    assert begun == ["10-a", "20-b", "30-c"]


def test_one_in_etc_takes_the_place_of_its_name_and_a_link_to_nothing_masks(place):
    place.hook("10-a", "exit 1", top="usr/lib")
    place.hook("10-a", top="etc")
    place.hook("20-b", "exit 1", top="usr/lib")
    (place.directory("etc") / "20-b").symlink_to("/dev/null")
    assert place.run() is None
    assert place.ran == ["etc/10-a"]


@pytest.mark.parametrize("name", [".hidden", "10-a~", "10-a.rpmnew", "10-a.rpmsave", "10-a.swp"])
def test_what_editors_and_package_managers_leave_is_no_hook(place, name):
    place.hook(name)
    place.hook("20-b")
    assert place.run() is None
    assert place.ran == ["etc/20-b"]


def test_the_first_that_fails_is_the_last(place):
    place.hook("10-a", "echo cannot reach the API server; exit 3")
    place.hook("20-b")
    failure = place.run()
    assert failure.code is Code.HOOK_FAILED
    assert failure.message.endswith("10-a ended with status 3; its last line: cannot reach the API server")
    assert failure.hint
    assert place.ran == ["etc/10-a"]


# As what


def test_the_environment_has_the_facts_and_nothing_of_the_agents_own(place, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    place.hook("10-a", f"env >> {place.trace}; pwd >> {place.trace}; cat >> {place.trace}")
    assert place.run() is None
    told = dict(line.split("=", 1) for line in place.ran if "=" in line)
    for name in ("PWD", "SHLVL", "_", "OLDPWD"):  # the shell's own
        told.pop(name, None)
    assert told == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "MCD_RT_OCCASION": "pre-reboot",
        "MCD_RT_TARGET": "0123",
        "MCD_RT_KERNEL_TYPE": "realtime",
        "MCD_RT_RUNNING_KERNEL": "5.14.0-284.el9",
        "MCD_RT_DEPLOYMENT": "rhcos-1.0",
        "MCD_RT_CONFIG": "rendered-worker-1",
        "MCD_RT_REASON": "realtime is staged",
    }
    assert place.ran[-1] == "/"


def test_a_hook_has_no_descriptor_but_its_three(place):
    place.hook("10-a", f"exec ls /proc/self/fd >> {place.trace}")
    assert place.run() is None
    assert place.ran[1:] == ["0", "1", "2", "3"]  # the last is the directory it lists


# What must not be run


def linked(place):
    (place.directory() / "10-a").symlink_to(place.hook("real", top="opt"))
    return "is a link"


def not_executable(place):
    place.hook("10-a", mode=0o644)
    return "is not executable"


def world_writable(place):
    place.hook("10-a", mode=0o757)
    return "(mode 0757)"


def group_writable(place):
    place.hook("10-a", mode=0o775)
    return "(mode 0775)"


def a_directory(place):
    (place.directory() / "10-a").mkdir()
    return "is not a file"


def a_pipe(place):
    os.mkfifo(place.directory() / "10-a", 0o755)
    return "is not a file"


def in_a_writable_directory(place):
    place.hook("10-a")
    place.directory().chmod(0o777)
    return "pre-reboot.d is not run as a hook: others than its owner may write it"


def below_a_writable_directory(place):
    place.hook("10-a")
    place.paths.below("/etc").chmod(0o777)
    return "/etc is not run as a hook: others than its owner may write it"


def in_a_linked_directory(place):
    place.hook("10-a", top="opt")
    place.paths.below("/etc/mcd-rt").mkdir(parents=True)
    place.paths.below(f"/etc/mcd-rt/{PRE}.d").symlink_to(place.directory("opt"))
    return "is not a directory"


def of_another_user(place):
    os.chown(place.hook("10-a"), 4242, -1)
    return "its owner is user 4242, not root"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize(
    "unfit",
    [
        linked,
        not_executable,
        world_writable,
        group_writable,
        a_directory,
        a_pipe,
        in_a_writable_directory,
        below_a_writable_directory,
        in_a_linked_directory,
        pytest.param(of_another_user, marks=needs_root),
    ],
)
def test_one_that_anybody_could_have_put_there_keeps_all_of_them_from_running(place, unfit):
    why = unfit(place)
    place.hook("05-fit", top="usr/lib")
    failure = place.run()
    assert failure.code is Code.HOOK_REFUSED
    assert why in failure.message
    assert place.ran == []


def test_one_without_an_interpreter_cannot_be_started(place):
    place.hook("10-a").write_text("#!/nowhere/sh\n")
    failure = place.run()
    assert (failure.code, "10-a cannot be started: No such file" in failure.message) == (Code.HOOK_FAILED, True)


# How they end


def test_one_that_hangs_is_ended_in_its_time(place):
    place.hook("10-a", "echo still draining; exec sleep 1000")
    failure = place.run(timeout=0.3)
    assert failure.code is Code.HOOK_TIMEOUT
    assert failure.message.endswith("it is not done after 0.3 s, and was ended; its last line: still draining")


def test_one_that_ignores_being_asked_to_end_is_killed(place):
    place.hook("10-a", "trap '' TERM; echo $$; while :; do sleep 1000; done")
    failure = place.run(timeout=0.3)
    assert failure.code is Code.HOOK_TIMEOUT
    assert is_gone(int(failure.message.rpartition(" ")[2]))


def test_one_that_is_asked_to_end_may_tidy_up(place):
    place.hook("10-a", f"trap 'echo tidy >> {place.trace}; exit 1' TERM; sleep 1000 & wait")
    assert place.run(timeout=0.3).code is Code.HOOK_TIMEOUT
    assert place.ran == ["etc/10-a", "tidy"]


def test_what_it_leaves_behind_is_killed_in_whatever_session_and_its_output_is_not_waited_for(place):
    left = place.paths.below("/left")
    place.hook("10-a", f"(setsid sh -c 'echo $$ > {left}; sleep 1000' &)\nwhile ! [ -s {left} ]; do :; done")
    assert place.run() is None
    assert is_gone(int(left.read_text()))


def test_one_that_forks_on_and_on_is_ended_whole(place):
    place.hook("10-a", "f() { sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & sleep 1000; }; f & f & f")
    assert place.run(timeout=0.3).code is Code.HOOK_TIMEOUT


def test_one_that_prints_megabytes_is_heard_for_a_while_and_keeps_its_last_line(place, caplog):
    caplog.set_level(logging.INFO, logger="mcd_rt")
    place.hook("10-a", "yes this is too much | head -c 2000000; echo; echo and failed; exit 1")
    failure = place.run()
    assert failure.message.endswith("its last line: and failed")
    heard = [record.getMessage() for record in caplog.records]
    assert MOST_SHOWN / 2 < sum(map(len, heard)) < MOST_SHOWN * 2
    assert heard[-1] == f"10-a: (it says more than {MOST_SHOWN} bytes: the rest is not shown)"


def test_a_line_without_an_end_and_bytes_of_a_terminal_are_made_fit_for_a_log(place, caplog):
    caplog.set_level(logging.INFO, logger="mcd_rt")
    place.hook("10-a", r"printf '\033[2Jred\377'; head -c 5000 /dev/zero | tr '\0' x")
    assert place.run() is None
    heard = [record.getMessage() for record in caplog.records][1:]
    assert heard[0].startswith("10-a: \\x1b[2Jred")
    assert all(line.isprintable() and len(line) < 1100 for line in heard)
    assert sum(line.count("x") for line in heard) >= 1000


def test_one_that_is_killed_says_by_what(place):
    place.hook("10-a", "kill -KILL $$")
    assert place.run().message.endswith(f"10-a was killed by signal {signal.SIGKILL.value}")


def test_one_that_nobody_waits_for_any_more_is_ended(place):
    left = place.paths.below("/left")
    os.mkfifo(left)
    place.hook("10-a", f"echo $$ > {left}; exec sleep 1000")

    async def main():
        running = asyncio.ensure_future(run_hooks(place.access(), PRE, FACTS))
        pid = int(await asyncio.to_thread(left.read_text))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return pid

    assert is_gone(run(main()))


# The runner behind a socket


class Runner:
    """Stands for the unit: answers each call with the lines a test says."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.asked = []

    async def serve(self, reader, writer):
        self.asked.append(await reader.readline())
        writer.writelines(self._answers)
        await writer.drain()
        writer.close()


def by_unit(place, *answers, how="auto"):
    """What comes of a runner that answers so, and the effects it was."""
    place.hook("10-a")
    runner, effects = Runner(*answers), EffectsDouble()

    async def main():
        path = place.paths.below(ask.SOCKET)
        path.parent.mkdir(exist_ok=True)
        async with await asyncio.start_unix_server(runner.serve, path):
            access = HookAccess(effects, place.paths, HooksSettings(30.0, how))
            return await run_hooks(access, PRE, FACTS)

    return asyncio.run(main()), effects, runner.asked


def test_where_the_unit_is_it_runs_the_hooks_and_that_is_one_effect(place):
    failure, effects, asked = by_unit(place, b'{"begun":"10-a"}\n', b'{"done":1}\n')
    assert failure is None
    assert [effect.subject for effect in effects.attempted] == ["hooks pre-reboot"]
    assert b'"config":"rendered-worker-1"' in asked[0]
    assert place.ran == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], "ended before its hooks"),
        ([b'{"begun":"10-a"}\n'], "ended before its hooks"),
        ([b'{"done":1}'], "ended before its hooks"),
        ([b"what\n"], "says what it must not"),
        ([b'{"done":-1}\n'], "says what it must not"),
        ([b'{"failed":{"code":"steady","message":"","hint":""}}\n'], "says what it must not"),
        ([b"x" * 100_000], "broke off"),
    ],
)
def test_a_runner_that_is_not_understood_has_not_succeeded(place, answers, words):
    failure, *_ = by_unit(place, *answers)
    assert (failure.code, words in failure.message) == (Code.HOOK_FAILED, True), failure


def test_a_failure_of_the_runner_is_told_as_it_is(place):
    told = b'{"failed":{"code":"hook-timeout","message":"10-a: too long","hint":"h"}}\n'
    failure, *_ = by_unit(place, told)
    assert (failure.code, failure.message) == (Code.HOOK_TIMEOUT, "10-a: too long")


def test_a_socket_that_is_asked_for_and_not_there_is_a_failure(place):
    place.hook("10-a")
    failure = run(run_hooks(HookAccess(HostEffects(), place.paths, HooksSettings(30.0, "socket")), PRE, FACTS))
    assert failure.code is Code.HOOK_FAILED
    assert "mcd-rt-hooks.sock: No such file" in failure.message
    assert place.ran == []
