"""The control socket answers whoever may ask, and nobody else can hold it up."""

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mcd_rt import control
from mcd_rt.control import Reply, Verb, ask_agent, serve_control
from mcd_rt.errors import AgentError, Code
from tests.effects_double import EffectsDouble
from tests.leaks import run


@pytest.fixture
def path():
    """A short one: a socket's has 108 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="mcd-rt-") as place:
        yield Path(place) / "run/control.sock"


async def echo(verb):
    return Reply(ok=verb is Verb.RETRY, text=f"{verb}: ä done")


async def never(_verb):
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
        async with serve_control(EffectsDouble(), path, echo):
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
        async with serve_control(EffectsDouble(), path, never):
            answer = json.loads(await said(path, request_))
            assert answer == {"ok": False, "text": "not a request; verbs are apply, retry"}

    run(main())


def test_one_line_is_one_request(path):
    async def main():
        async with serve_control(EffectsDouble(), path, echo):
            answer = await said(path, b'{"verb": "retry"}\n{"verb": "apply"}\n')
            assert [json.loads(line)["text"] for line in answer.splitlines()] == ["retry: ä done"]

    run(main())


def test_a_client_that_leaves_before_it_asked_is_no_matter(path):
    async def main():
        async with serve_control(EffectsDouble(), path, never):
            async with client(path):
                pass
            async with client(path) as (_reader, writer):
                writer.write(b'{"verb": "ret')
            assert json.loads(await said(path, b"x\n"))["ok"] is False

    run(main())


def test_a_client_that_leaves_before_the_answer_is_no_matter(path):
    async def main():
        asked, left = asyncio.Event(), asyncio.Event()

        async def answer(_verb):
            asked.set()
            await left.wait()
            return Reply(ok=True, text="x" * 1000)

        async with serve_control(EffectsDouble(), path, answer):
            async with client(path) as (_reader, writer):
                writer.write(b'{"verb": "retry"}\n')
                await asked.wait()
            await writer.wait_closed()
            left.set()
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_an_endless_line_is_not_read(path):
    async def main():
        async with serve_control(EffectsDouble(), path, never), client(path) as (reader, writer):
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
        async with serve_control(EffectsDouble(), path, echo), client(path) as (reader, _writer):
            assert await reader.read() == b""

    run(main())


def test_eight_clients_are_answered_at_once(path):
    async def main():
        all_there = asyncio.Event()
        asking = []

        async def answer(verb):
            asking.append(verb)
            if len(asking) == 8:
                all_there.set()
            await all_there.wait()
            return Reply(ok=True, text=str(verb))

        async with serve_control(EffectsDouble(), path, answer):
            replies = await asyncio.gather(*(ask_agent(path, Verb.RETRY, 5) for _ in range(8)))
            assert replies == [Reply(ok=True, text="retry")] * 8

    run(main())


def test_silent_clients_hold_nobody_up(path):
    async def main():
        async with serve_control(EffectsDouble(), path, echo), contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(client(path))
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_only_its_owner_may_open_it(path):
    async def main():
        before = os.umask(0)
        try:
            async with serve_control(EffectsDouble(), path, echo):
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
        async with serve_control(EffectsDouble(), path, echo):
            assert (await ask_agent(path, Verb.RETRY, 5)).ok

    run(main())


def test_no_socket_means_no_agent(path):
    failure = run(failure_of(path))
    assert failure.code is Code.AGENT_NOT_RUNNING
    assert str(path) in failure.message


def test_an_answer_that_never_comes_is_waited_for_as_long_as_one_likes(path):
    async def main():
        async with serve_control(EffectsDouble(), path, never):
            failure = await failure_of(path, 0.05)
            assert failure.code is Code.CONTROL_REFUSED
            assert "nothing for 0.05 s" in failure.message

    run(main())


def test_an_agent_that_stops_while_it_is_asked_is_gone(path):
    async def main():
        asked = asyncio.Event()

        async def answer(_verb):
            asked.set()
            await never(_verb)

        async with serve_control(EffectsDouble(), path, answer):
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
    async def talk(_verb):
        return Reply(ok=False, text="because " * 2000)

    async def main():
        async with serve_control(EffectsDouble(), path, talk):
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
            async with serve_control(effects, path, echo):
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
            async with serve_control(EffectsDouble(), path, echo):
                raise ZeroDivisionError
        assert (await failure_of(path)).code is Code.AGENT_NOT_RUNNING

    run(main())
