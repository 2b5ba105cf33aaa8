"""The control socket answers whoever may ask, and nobody else can hold it up."""

import asyncio
import contextlib
import grp
import json
import os
import socket
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mcd_rt import control
from mcd_rt.control import Feed, Reply, Verb, ask_agent, follow_agent, serve_control, share_socket
from mcd_rt.errors import AgentError, Code
from tests.effects_double import EffectsDouble
from tests.leaks import run


@pytest.fixture
def path():
    """A short one: a socket's has 108 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="mcd-rt-") as place:
        yield Path(place) / "run/control.sock"


async def echo(verb, _seconds):
    return Reply(ok=verb is Verb.RETRY, text=f"{verb}: ä done")


def mute():
    """A feed that nobody follows."""
    return Feed(lambda: pytest.fail("nobody asked"))


async def never(_verb, _seconds):
    await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def client(path):
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.closing(writer):
        yield reader, writer


async def said(path, request):
    """What is answered to these bytes, up to the end."""
    async with client(path) as (reader, writer):
        writer.write(request)
        return await reader.read()


async def failure_of(path, timeout_=5):
    with pytest.raises(AgentError) as caught:
        await ask_agent(path, Verb.RETRY, timeout_)
    assert caught.value.failure.hint
    return caught.value.failure


def test_every_verb_is_answered(path):
    async def main():
        async with serve_control(EffectsDouble(), path, echo, mute()):
            assert await ask_agent(path, Verb.RETRY, 5) == Reply(ok=True, text="retry: ä done")
            assert await ask_agent(path, Verb.APPLY, None) == Reply(ok=False, text="apply: ä done")
        assert not path.exists()

    run(main())


@pytest.mark.parametrize(
    "request_",
    [
        b'{"verb": "dance"}\n',
        b'{"verb": 7}\n',
        b'{"verb": ["retry"]}\n',
        b'{"verb": "RETRY"}\n',
        b'["retry"]\n',
        b"retry\n",
        b"\n",
        b"\xff\n",
        b"[" * 4000 + b"\n",
    ],
)
def test_what_is_no_request_is_told_what_would_be(path, request_):
    async def main():
        async with serve_control(EffectsDouble(), path, never, mute()):
            answer = json.loads(await said(path, request_))
            assert answer == {
                "ok": False,
                "text": "not a request; verbs are apply, retry, reboot, hold, resume, follow",
            }

    run(main())


def test_one_line_is_one_request(path):
    async def main():
        async with serve_control(EffectsDouble(), path, echo, mute()):
            answer = await said(path, b'{"verb": "retry"}\n{"verb": "apply"}\n')
            assert [json.loads(line)["text"] for line in answer.splitlines()] == ["retry: ä done"]

    run(main())


def test_a_client_that_leaves_before_it_asked_is_no_matter(path):
    async def main():
        async with serve_control(EffectsDouble(), path, never, mute()):
            async with client(path):
                pass
            async with client(path) as (_reader, writer):
                writer.write(b'{"verb": "ret')
            assert json.loads(await said(path, b"x\n"))["ok"] is False

    run(main())


def test_a_client_that_leaves_before_the_answer_is_no_matter(path):
    async def main():
        asked, left = asyncio.Event(), asyncio.Event()

        async def answer(_verb, _seconds):
            asked.set()
            await left.wait()
            return Reply(ok=True, text="x" * 1000)

        async with serve_control(EffectsDouble(), path, answer, mute()):
            async with client(path) as (_reader, writer):
                writer.write(b'{"verb": "retry"}\n')
                await asked.wait()
            await writer.wait_closed()
            left.set()
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_an_endless_line_is_not_read(path):
    async def main():
        async with serve_control(EffectsDouble(), path, never, mute()), client(path) as (reader, writer):
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    await asyncio.sleep(0)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""

    run(main())


def test_a_silent_client_is_let_go(path, monkeypatch):
    monkeypatch.setattr(control, "_REQUEST_TIMEOUT", 0.05)

    async def main():
        async with serve_control(EffectsDouble(), path, echo, mute()), client(path) as (reader, _writer):
            assert await reader.read() == b""

    run(main())


def test_eight_clients_are_answered_at_once(path):
    async def main():
        all_there = asyncio.Event()
        asking = []

        async def answer(verb, _seconds):
            asking.append(verb)
            if len(asking) == 8:
                all_there.set()
            await all_there.wait()
            return Reply(ok=True, text=str(verb))

        async with serve_control(EffectsDouble(), path, answer, mute()):
            replies = await asyncio.gather(*(ask_agent(path, Verb.RETRY, 5) for _ in range(8)))
            assert replies == [Reply(ok=True, text="retry")] * 8

    run(main())


def test_silent_clients_hold_nobody_up(path):
    async def main():
        async with serve_control(EffectsDouble(), path, echo, mute()), contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(client(path))
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_there_is_a_number_of_clients_that_is_enough(path, monkeypatch):
    monkeypatch.setattr(control, "_CLIENTS", 3)

    async def main():
        async with serve_control(EffectsDouble(), path, echo, mute()):
            async with client(path) as first, client(path) as second, client(path) as third:
                async with client(path) as (reader, _writer):
                    assert json.loads(await reader.read()) == {"ok": False, "text": "3 clients are connected already"}
                for reader, writer in (first, second, third):
                    writer.write_eof()
                    await reader.read()
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_only_its_owner_may_open_it(path):
    async def main():
        before = os.umask(0)
        try:
            async with serve_control(EffectsDouble(), path, echo, mute()):
                assert path.stat().st_mode & 0o777 == 0o600
        finally:
            os.umask(before)

    run(main())


def test_what_an_agent_that_was_killed_left_is_replaced(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def main():
        assert (await failure_of(path)).code is Code.AGENT_NOT_RUNNING
        async with serve_control(EffectsDouble(), path, echo, mute()):
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_no_socket_means_no_agent(path):
    failure = run(failure_of(path))
    assert failure.code is Code.AGENT_NOT_RUNNING
    assert str(path) in failure.message


def test_an_answer_that_never_comes_is_waited_for_as_long_as_one_likes(path):
    async def main():
        async with serve_control(EffectsDouble(), path, never, mute()):
            failure = await failure_of(path, 0.05)
            assert failure.code is Code.CONTROL_REFUSED
            assert "nothing for 0.05 s" in failure.message

    run(main())


def test_an_agent_that_stops_while_it_is_asked_is_gone(path):
    async def main():
        asked = asyncio.Event()

        async def answer(_verb, _seconds):
            asked.set()
            await never(_verb, _seconds)

        async with serve_control(EffectsDouble(), path, answer, mute()):
            asking = asyncio.ensure_future(failure_of(path))
            await asked.wait()
        failure = await asking
        assert failure.code is Code.CONTROL_REFUSED
        assert "went away" in failure.message

    run(main())


@pytest.mark.parametrize(
    "answer",
    [b"", b"\n", b"nonsense\n", b'{"ok": 1, "text": "x"}\n', b'{"ok": true}\n', b"[]\n", b"x" * 3_000_000 + b"\n"],
)
def test_an_answer_that_is_none_is_refused(path, answer):
    path.parent.mkdir()

    async def speak(reader, writer):
        await reader.readline()
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_unix_server(speak, path):
            assert (await failure_of(path)).code is Code.CONTROL_REFUSED

    run(main())


def test_a_long_answer_arrives(path):
    async def talk(_verb, _seconds):
        return Reply(ok=False, text="because " * 2000)

    async def main():
        async with serve_control(EffectsDouble(), path, talk, mute()):
            assert (await ask_agent(path, Verb.RETRY, 5)).text == "because " * 2000

    run(main())


def test_who_may_not_open_it_is_told_who_may(path, monkeypatch):
    async def forbidden(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "open_unix_connection", forbidden)
    failure = run(failure_of(path))
    assert failure.code is Code.CONTROL_REFUSED
    assert "only root" in failure.hint


def listening_fails(path, effects):
    async def main():
        with pytest.raises(AgentError) as caught:
            async with serve_control(effects, path, echo, mute()):
                pytest.fail("this cannot listen")
        assert caught.value.failure.code is Code.WRITE_FAILED
        return caught.value.failure.message

    return run(main())


def test_a_place_where_it_cannot_listen_is_told(path):
    effects = EffectsDouble()
    effects.fail("make_directory", OSError(30, "Read-only file system"))
    assert listening_fails(path, effects) == f"cannot listen on {path}: Read-only file system"
    path.mkdir(parents=True)
    assert "directory" in listening_fails(path, EffectsDouble())
    too_long = path.with_name("x" * 120)
    assert "too long" in listening_fails(too_long, EffectsDouble())


def test_a_body_that_fails_ends_the_service(path):
    async def main():
        with pytest.raises(ZeroDivisionError):
            async with serve_control(EffectsDouble(), path, echo, mute()):
                raise ZeroDivisionError
        assert (await failure_of(path)).code is Code.AGENT_NOT_RUNNING

    run(main())


# Those who follow


class Teller:
    """A feed of numbered lines."""

    def __init__(self, padding=""):
        self.count = 0
        self.padding = padding
        self.feed = Feed(self.line)

    def line(self):
        return json.dumps({"n": self.count, "p": self.padding}).encode() + b"\n"

    def tell(self):
        self.count += 1
        self.feed.publish()


async def heard(lines, count):
    return [json.loads(await anext(lines))["n"] for _ in range(count)]


async def end_of(lines):
    with pytest.raises(AgentError) as caught:
        await anext(lines)
    return caught.value.failure


def test_who_follows_is_told_where_things_are_and_every_change_until_the_agent_stops(path):
    async def main():
        teller = Teller()
        teller.tell()
        async with serve_control(EffectsDouble(), path, echo, teller.feed):
            first, second = follow_agent(path), follow_agent(path)
            assert await heard(first, 1) == [1]
            teller.tell()
            assert await heard(second, 1) == [2]
            teller.tell()
            teller.tell()
            assert (await ask_agent(path, Verb.RETRY, 5)).ok
        assert await heard(first, 3) == [2, 3, 4]
        assert await heard(second, 2) == [3, 4]
        for lines in (first, second):
            failure = await end_of(lines)
            assert (failure.code, failure.message) == (Code.AGENT_NOT_RUNNING, "the agent has stopped")

    run(main())


def test_a_line_is_made_only_for_those_who_follow():
    Feed(lambda: pytest.fail("nobody follows")).publish()


def test_who_has_gone_is_forgotten(path):
    async def main():
        teller = Teller()
        async with serve_control(EffectsDouble(), path, echo, teller.feed):
            lines = follow_agent(path)
            await heard(lines, 1)
            assert len(teller.feed._followers) == 1
            await lines.aclose()
            async with client(path) as (reader, writer):
                writer.write(b'{"verb": "follow"}\n')
                await reader.readline()
                writer.write(b"and now?\n")  # nothing more is to be said
                await reader.read()
            assert not teller.feed._followers
            teller.feed._current = lambda: pytest.fail("nobody follows")
            teller.tell()

    run(main())


def test_who_stalls_is_dropped_and_nobody_else_waits(path):
    async def main():
        teller = Teller("x" * 10_000)
        async with serve_control(EffectsDouble(), path, echo, teller.feed), client(path) as (reader, writer):
            writer.write(b'{"verb": "follow"}\n')
            await reader.readline()
            reader._transport.pause_reading()
            lines = follow_agent(path)
            await heard(lines, 1)
            assert len(teller.feed._followers) == 2
            most = 0
            for number in range(1, 200):
                teller.tell()
                most = max(most, *(one.transport.get_write_buffer_size() for one in teller.feed._followers))
                assert await heard(lines, 1) == [number]
            assert len(teller.feed._followers) == 1
            assert most <= control._BACKLOG + 2 * len(teller.line())
            reader._transport.resume_reading()
            with contextlib.suppress(ConnectionError):
                assert len((await reader.read()).splitlines()) < 100

    run(main())


def test_there_is_a_number_of_followers_that_is_enough(path, monkeypatch):
    monkeypatch.setattr(control, "_FOLLOWERS", 2)

    async def main():
        async with serve_control(EffectsDouble(), path, echo, Teller().feed):
            follower, another, third = (follow_agent(path) for _ in range(3))
            await heard(follower, 1)
            await heard(another, 1)
            failure = await end_of(third)
            assert failure.code is Code.CONTROL_REFUSED
            assert "2 others follow already" in failure.message
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_an_agent_that_dies_says_no_farewell(path):
    path.parent.mkdir()

    async def speak(reader, writer):
        await reader.readline()
        writer.write(b'{"n": 0}\n')
        writer.close()

    async def main():
        async with await asyncio.start_unix_server(speak, path):
            lines = follow_agent(path)
            assert await heard(lines, 1) == [0]
            failure = await end_of(lines)
            assert failure.code is Code.AGENT_NOT_RUNNING
            assert "without a word" in failure.message

    run(main())


def test_nobody_follows_an_agent_that_does_not_run(path):
    async def main():
        assert (await end_of(follow_agent(path))).code is Code.AGENT_NOT_RUNNING

    run(main())


# The group


def test_the_members_of_a_group_may_open_it_where_one_is_set(path, monkeypatch):
    changed = []
    monkeypatch.setattr(os, "chown", lambda *arguments: changed.append(arguments))
    name = grp.getgrgid(0).gr_name

    async def main():
        async with serve_control(EffectsDouble(), path, echo, mute(), name):
            assert changed == [(path, -1, 0)]
            assert path.stat().st_mode & 0o777 == 0o660
            share_socket(path, None)
            assert path.stat().st_mode & 0o777 == 0o600

    run(main())


def test_a_group_that_is_not_there_is_named(path):
    async def main():
        with pytest.raises(AgentError) as caught:
            async with serve_control(EffectsDouble(), path, echo, mute(), "nobody-has-this"):
                pytest.fail("this cannot be served")
        assert caught.value.failure.code is Code.SETTINGS_INVALID
        assert "control.group" in caught.value.failure.message
        assert "nobody-has-this" in caught.value.failure.message
        assert not path.exists()

    run(main())
