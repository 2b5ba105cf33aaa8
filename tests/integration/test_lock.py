"""There is one agent on a node, and asking whether there is one is in nobody's way."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest

from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import is_agent_running, only_agent
from tests.effects_double import EffectsDouble
from tests.leaks import leaves_nothing

AGENT = """
import sys
from pathlib import Path
from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import only_agent
with only_agent(HostEffects(), HostPaths(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def paths(tmp_path):
    return HostPaths(tmp_path)


@contextmanager
def agent(paths):
    """Another process that holds the lock; it lets go when its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", AGENT, str(paths.below("/"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def refusal_of(paths, effects=None):
    with pytest.raises(AgentError) as caught, only_agent(effects or EffectsDouble(), paths):
        pytest.fail("there are two agents")
    return caught.value.failure


def test_a_second_agent_is_refused_while_the_first_one_runs(paths):
    with leaves_nothing():
        with only_agent(EffectsDouble(), paths):
            assert is_agent_running(paths)
            failure = refusal_of(paths)
            assert failure.code is Code.AGENT_RUNNING
            assert str(paths.lock) in failure.message
            assert failure.hint
            assert is_agent_running(paths)
        assert not is_agent_running(paths)
        with only_agent(EffectsDouble(), paths):
            assert is_agent_running(paths)


def test_an_agent_in_another_process_is_seen(paths):
    with leaves_nothing():
        with agent(paths) as process:
            assert is_agent_running(paths)
            assert refusal_of(paths).code is Code.AGENT_RUNNING
            process.stdin.close()
            assert process.wait() == 0
        assert not is_agent_running(paths)


def test_an_agent_that_is_killed_holds_nothing(paths):
    with leaves_nothing(), agent(paths) as process:
        process.kill()
        process.wait()
        assert not is_agent_running(paths)
        with only_agent(EffectsDouble(), paths):
            pass


def test_whoever_is_in_the_middle_of_asking_is_in_nobodys_way(paths, monkeypatch):
    with only_agent(EffectsDouble(), paths):
        pass
    kept = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", kept.append)  # it asked, and did not get any further
        assert not is_agent_running(paths)
    with only_agent(EffectsDouble(), paths):
        assert is_agent_running(paths)
    [descriptor] = kept
    os.close(descriptor)


def test_a_body_that_fails_lets_go(paths):
    with pytest.raises(ZeroDivisionError), only_agent(EffectsDouble(), paths):
        raise ZeroDivisionError
    assert not is_agent_running(paths)


def test_a_node_where_no_agent_ever_was_has_none(paths):
    assert not is_agent_running(paths)
    assert not paths.runtime.exists()


def test_a_child_of_the_agent_holds_nothing_when_the_agent_is_gone(paths):
    with leaves_nothing():
        with only_agent(EffectsDouble(), paths):
            child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
        with child:
            child.stdin.write(b"x")
            child.stdin.flush()
            assert child.stdout.read(1) == b"x"  # it runs its own program, and not a copy of ours any more
            assert not is_agent_running(paths)
            child.stdin.close()


def test_a_place_that_cannot_be_written_is_told(paths):
    effects = EffectsDouble()
    effects.fail("make_directory", OSError(errno.EROFS, os.strerror(errno.EROFS)))
    failure = refusal_of(paths, effects)
    assert failure.code is Code.WRITE_FAILED
    assert failure.message == f"cannot open {paths.lock}: Read-only file system"
    paths.lock.mkdir(parents=True)
    assert refusal_of(paths).code is Code.WRITE_FAILED


def test_a_shared_lock_of_somebody_is_in_the_way_of_the_agent(paths):
    paths.runtime.mkdir(parents=True)
    with paths.lock.open("w+b") as file:
        fcntl.lockf(file, fcntl.LOCK_SH)
        assert refusal_of(paths).code is Code.AGENT_RUNNING


def test_nobody_else_can_open_the_lock_and_so_hold_it(paths):
    paths.runtime.mkdir(parents=True)
    paths.lock.touch(0o644)
    paths.lock.chmod(0o644)  # as an earlier release left it in this boot
    with only_agent(EffectsDouble(), paths):
        assert stat.S_IMODE(paths.lock.stat().st_mode) == 0o600


def test_a_lock_of_somebody_elses_making_is_taken_all_the_same(paths, monkeypatch):
    paths.runtime.mkdir(parents=True)
    paths.lock.touch(0o644)
    paths.lock.chmod(0o666)

    def refuse(_descriptor, _mode):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    with only_agent(EffectsDouble(), paths):
        assert refusal_of(paths).code is Code.AGENT_RUNNING


def test_who_may_not_open_the_lock_learns_from_the_kernels_list_whether_it_is_held(paths, monkeypatch):
    real = os.open

    def closed_to_me(path, flags, mode=0o777):
        if path == paths.lock and not flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", closed_to_me)
    with agent(paths) as process:
        assert is_agent_running(paths)
        process.stdin.close()
        process.wait()
    assert not is_agent_running(paths)
    paths.lock.unlink()
    assert not is_agent_running(paths)
