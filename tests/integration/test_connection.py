"""A connection never hangs, loses no message, keeps no descriptor: ``rpm-ostree-dbus.md`` P4, case by case."""

import asyncio
import gc
import os
import socket
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from mcd_rt.dbus.connection import Connection, PeerClosed, RemoteError, open_socket, socket_addresses
from mcd_rt.dbus.wire import Kind, Malformed, Message, Typed, encode
from tests.integration.peers import (
    closes,
    connected_to,
    refused,
    returned,
    scripted,
    signal,
    stalls,
    takes_all,
    until_hung_up,
)
from tests.leaks import run

CALL = Message(Kind.CALL, path="/", interface="a.b", member="C")
TOO_LONG = 5
"""Seconds; a deadline that is not meant to pass."""


@asynccontextmanager
async def both_ends(on_client, on_server):
    """A connection of ours, and the server's end of it as one too."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    client, server = Connection(ours, on_client), Connection(theirs, on_server)
    client.start()
    server.start()
    try:
        yield client, server
    finally:
        client.close()
        server.close()


def ignore(_message):
    pass


@contextmanager
def opened_null():
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Collected(list):
    """Messages, and somebody who waits for a number of them."""

    def __init__(self, wanted):
        super().__init__()
        self._wanted = wanted
        self.complete = asyncio.Event()

    def append(self, message):
        super().append(message)
        if len(self) == self._wanted:
            self.complete.set()


# Addresses


@pytest.mark.parametrize(
    ("address", "targets"),
    [
        ("unix:path=/run/bus", ["/run/bus"]),
        ("unix:path=/tmp/with%20space%25,guid=0123", ["/tmp/with space%"]),
        ("unix:abstract=/tmp/rpm-ostree/dbus-%61bc,guid=00", [b"\0/tmp/rpm-ostree/dbus-abc"]),
        ("unix:path=/a=b", ["/a=b"]),
        ("tcp:host=localhost,port=1;unix:guid=1,path=/a;unix:abstract=b", ["/a", b"\0b"]),
        ("unix:tmpdir=/tmp;nonsense;", []),
        ("", []),
    ],
)
def test_addresses_are_read_as_the_specification_says(address, targets):
    assert list(socket_addresses(address)) == targets


def test_the_first_entry_that_answers_is_taken():
    async def main():
        with tempfile.TemporaryDirectory(dir="/tmp", prefix="mcd-rt- %") as place:
            async with scripted(takes_all, f"{place}/the socket") as address:
                escaped = address.replace("%", "%25").replace(" ", "%20")
                found = await open_socket(f"tcp:host=x;unix:path=/nowhere;{escaped};unix:abstract=nobody", TOO_LONG)
                assert found.getpeername() == f"{place}/the socket"
                found.close()

    run(main())


@pytest.mark.parametrize(
    "address", ["unix:path=/nowhere;unix:abstract=nobody", "tcp:host=x", f"unix:path=/{'x' * 200}"]
)
def test_nobody_there_is_told_with_the_address(address):
    async def main():
        with pytest.raises(PeerClosed) as caught:
            await open_socket(address, TOO_LONG)
        assert address in str(caught.value)

    run(main())


# The handshake


def after_lines(lines, end):
    """A script that answers as many lines as it should, then does something else."""

    async def script(peer):
        for answer in (b"OK 00\r\n", b"AGREE_UNIX_FD\r\n")[:lines]:
            await peer.line()
            await peer.raw(answer)
        await end(peer)

    return script


@pytest.mark.parametrize("lines", [0, 1])
def test_a_peer_that_closes_during_authentication_is_noticed_at_once(lines):
    async def main():
        async with scripted(after_lines(lines, closes)) as address:
            with pytest.raises(PeerClosed, match="during authentication"):
                await open_socket(address, TOO_LONG)

    run(main())


@pytest.mark.parametrize("lines", [0, 1])
def test_a_peer_that_stalls_during_authentication_costs_its_deadline(lines):
    async def main():
        async with scripted(after_lines(lines, stalls)) as address:
            with pytest.raises(TimeoutError):
                await open_socket(address, 0.05)

    run(main())


def test_a_connect_that_is_cancelled_leaves_nothing():
    async def main():
        reached = asyncio.Event()

        async def script(peer):
            await peer.line()
            reached.set()
            await stalls(peer)

        async with scripted(script) as address:
            connecting = asyncio.ensure_future(open_socket(address, TOO_LONG))
            await reached.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(main())


@asynccontextmanager
async def full_queue():
    """A listener whose queue is full; gives its address."""
    name = f"mcd-rt-test-full-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind("\0" + name)
        listening.listen(0)
        first.connect("\0" + name)
        yield f"unix:abstract={name}"


def test_a_listener_with_a_full_queue_is_no_hang():
    async def main():
        async with full_queue() as address:
            with pytest.raises(PeerClosed, match="during authentication"):
                await open_socket(address, TOO_LONG)
            connecting = asyncio.ensure_future(open_socket(address, TOO_LONG))
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(main())


def test_a_refused_mechanism_is_told():
    async def script(peer):
        await peer.line()
        await peer.raw(b"REJECTED DBUS_COOKIE_SHA1 \xff\r\n")
        await peer.until_left()

    async def main():
        async with scripted(script) as address:
            with pytest.raises(PeerClosed) as caught:
                await open_socket(address, TOO_LONG)
            assert str(caught.value) == "authentication refused: REJECTED DBUS_COOKIE_SHA1 \ufffd"

    run(main())


def test_an_endless_line_is_not_read_for_ever():
    async def script(peer):
        while True:
            await peer.raw(b"x" * 65536)

    async def main():
        async def tolerant(peer):
            with pytest.raises(ConnectionError):
                await script(peer)

        async with scripted(tolerant) as address:
            with pytest.raises(PeerClosed, match="too long"):
                await open_socket(address, TOO_LONG)

    run(main())


def test_a_peer_that_spells_every_byte_and_passes_no_descriptors_is_welcome():
    async def spell(peer, data):
        for byte in data:
            await peer.raw(bytes([byte]))
            await asyncio.sleep(0)

    async def script(peer):
        for answer in (b"OK 00\r\n", b"ERROR no descriptors here\r\n"):
            await peer.line()
            await spell(peer, answer)
        assert await peer.line() == b"BEGIN\r\n"
        await spell(peer, encode(returned(await peer.message(), "s", ["slow"])))
        await peer.until_left()

    async def main():
        async with connected_to(script) as connection:
            assert (await connection.call(CALL, TOO_LONG)).body == ["slow"]

    run(main())


def test_who_we_say_we_are_is_who_we_are():
    async def script(peer):
        identity = str(os.geteuid()).encode().hex().encode()
        assert await peer.line() == b"\0AUTH EXTERNAL " + identity + b"\r\n"

    async def main():
        async with scripted(script) as address:
            with pytest.raises(PeerClosed):
                await open_socket(address, TOO_LONG)

    run(main())


def test_fifty_connections_leave_no_descriptor_behind():
    async def main():
        async with scripted(takes_all) as address:
            for _ in range(50):
                connection = Connection(await open_socket(address, TOO_LONG), ignore)
                connection.start()
                connection.close()

    gc.collect()
    gc.disable()  # what is only closed by the collector counts as left
    try:
        run(main())
    finally:
        gc.enable()


# Messages


def test_a_burst_is_queued_and_delivered_in_order():
    async def main():
        go = asyncio.Event()
        heard = []

        async def script(peer):
            await peer.welcome()
            await go.wait()
            while len(heard) < 2000:
                heard.append(await peer.message())
            await peer.send(signal("Done"))
            await peer.until_left()

        answered = Collected(1)
        async with connected_to(script, answered.append) as connection:
            for number in range(2000):
                connection.send(signal("C", "us", [number, "x" * 300]))
            go.set()
            await answered.complete.wait()
        assert [message.body[0] for message in heard] == list(range(2000))
        assert [message.serial for message in heard] == list(range(1, 2001))

    run(main())


def test_an_incoming_burst_is_heard_in_order():
    async def script(peer):
        await peer.welcome()
        await peer.send(*(signal("C", "us", [number, "x" * 300]) for number in range(6000)))
        await peer.until_left()

    async def main():
        heard = Collected(6000)
        async with connected_to(script, heard.append):
            await heard.complete.wait()
        assert [message.body[0] for message in heard] == list(range(6000))

    run(main())


def test_what_waits_since_before_the_start_is_heard():
    async def script(peer):
        await peer.welcome()
        await peer.send(signal("Early"))
        await peer.until_left()

    async def main():
        heard = Collected(1)
        async with scripted(script) as address:
            connection = Connection(await open_socket(address, TOO_LONG), heard.append)
            connection.start()
            await heard.complete.wait()
            connection.close()

    run(main())


def test_twenty_mebibytes_go_there_and_come_back():
    async def main():
        def echo(message):
            server.answer(message, "s", message.body)

        async with both_ends(ignore, echo) as (client, server):
            text = "x" * (20 << 20)
            call = Message(Kind.CALL, path="/", member="Echo", signature="s", body=[text])
            assert (await client.call(call, 30)).body == [text]

    run(main())


def test_many_calls_at_once_get_their_own_answers():
    async def main():
        held = []

        def last_first(message):
            held.append(message)
            if len(held) == 50:
                for call in reversed(held):
                    server.answer(call, "u", call.body)

        async with both_ends(ignore, last_first) as (client, server):
            calls = (
                client.call(Message(Kind.CALL, path="/", member="C", signature="u", body=[number]), TOO_LONG)
                for number in range(50)
            )
            assert [reply.body for reply in await asyncio.gather(*calls)] == [[number] for number in range(50)]

    run(main())


def test_an_error_is_raised_with_its_name_and_text():
    async def main():
        def refuse(message):
            if message.member == "Odd":
                server.send(Message(Kind.ERROR, reply_serial=message.serial, error="a.b.E", signature="u", body=[7]))
            else:
                server.refuse(message, "a.b.E", "because")

        async with both_ends(ignore, refuse) as (client, server):
            with pytest.raises(RemoteError, match=r"a\.b\.E: because") as caught:
                await client.call(CALL, TOO_LONG)
            assert (caught.value.name, caught.value.text) == ("a.b.E", "because")
            with pytest.raises(RemoteError) as caught:
                await client.call(Message(Kind.CALL, path="/", member="Odd"), TOO_LONG)
            assert (caught.value.name, caught.value.text) == ("a.b.E", "")

    run(main())


def test_a_call_that_wants_no_answer_gets_none():
    async def main():
        def answer(message):
            if message.wants_reply:
                server.answer(message)
            else:
                server.answer(message, "s", ["not wanted"])
                server.refuse(message, "a.b.E", "not wanted")

        heard = []
        async with both_ends(heard.append, answer) as (client, server):
            client.send(Message(Kind.CALL, path="/", member="C", wants_reply=False))
            assert (await client.call(CALL, TOO_LONG)).serial == 1  # the first that the server ever sent
        assert heard == []

    run(main())


def test_a_message_that_cannot_be_sent_is_refused_and_hurts_nothing():
    async def main():
        def answer(message):
            server.answer(message)

        async with both_ends(ignore, answer) as (client, server):
            unfit = Message(Kind.CALL, path="/", member="C", signature="u", body=["x"])
            with pytest.raises(Malformed):
                await client.call(unfit, TOO_LONG)
            await client.call(CALL, TOO_LONG)
            assert client._pending == {}

    run(main())


# Ends


def test_a_call_after_the_end_fails_at_once():
    async def main():
        async with connected_to(takes_all) as connection:
            connection.close()
            connection.close()
            with pytest.raises(PeerClosed, match="closed by us"):
                await connection.call(CALL, TOO_LONG)
            with pytest.raises(PeerClosed):
                connection.send(CALL)
            assert connection._pending == {}

    run(main())


async def says_something_else(peer):
    await peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await peer.until_left()


async def sends_an_unknown_header_field(peer):
    data = bytearray(encode(signal("C")))
    data[16] = 42
    data[8] = 1
    await peer.raw(bytes(data))
    await peer.until_left()


async def closes_in_the_middle(peer):
    await peer.raw(encode(signal("C"))[:20])


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (closes, "closed by the peer"),
        (closes_in_the_middle, "closed by the peer"),
        (says_something_else, "byte order"),
        (sends_an_unknown_header_field, "decode"),
    ],
)
def test_whatever_waits_is_told_that_the_peer_is_gone(end, reason):
    async def main():
        async def script(peer):
            await peer.welcome()
            for _ in range(3):
                await peer.message()
            await end(peer)

        async with connected_to(script) as connection:
            results = await asyncio.gather(*(connection.call(CALL, TOO_LONG) for _ in range(3)), return_exceptions=True)
            assert [type(result) for result in results] == [PeerClosed] * 3
            assert reason in str(results[0])
            assert reason in str(connection.closed.result())
            assert connection._pending == {}

    run(main())


def test_what_was_sent_before_the_end_is_heard():
    async def script(peer):
        await peer.welcome()
        await peer.send(returned(await peer.message(), "s", ["last words"]), signal("Bye"))

    async def main():
        heard = []
        async with connected_to(script, heard.append) as connection:
            assert (await connection.call(CALL, TOO_LONG)).body == ["last words"]
            await connection.closed
        assert [message.member for message in heard] == ["Bye"]

    run(main())


def test_a_peer_that_leaves_without_reading_breaks_the_connection():
    async def main():
        sent = asyncio.Event()

        async def script(peer):
            await peer.welcome()
            await sent.wait()

        async with connected_to(script) as connection:
            connection.send(signal("NeverRead"))
            sent.set()
            assert "Connection reset" in str(await connection.closed)

    run(main())


def test_writing_to_nobody_breaks_the_connection():
    async def main():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.close()
        connection = Connection(ours, ignore)  # not started: only writing can notice
        connection.send(signal("C"))
        assert "Broken pipe" in str(connection.closed.result())

    run(main())


def test_being_woken_for_nothing_is_no_end():
    async def main():
        def answer(message):
            server.answer(message)

        async with both_ends(ignore, answer) as (client, server):
            client._readable()
            await client.call(CALL, TOO_LONG)

    run(main())


def test_no_message_is_heard_after_the_end():
    async def script(peer):
        await peer.welcome()
        await peer.send(signal("First"), signal("Second"))
        await peer.until_left()

    async def main():
        heard = []

        def stop_at_once(message):
            heard.append(message.member)
            connection.close()

        async with scripted(script) as address:
            connection = Connection(await open_socket(address, TOO_LONG), stop_at_once)
            connection.start()
            await connection.closed
        assert heard == ["First"]

    run(main())


def test_a_call_without_an_answer_costs_its_deadline_and_leaves_nothing():
    async def main():
        async with connected_to(takes_all) as connection:
            for _ in range(20):
                with pytest.raises(TimeoutError):
                    await connection.call(CALL, 0.001)
            assert connection._pending == {}
            assert not connection.closed.done()

    run(main())


# Descriptors


def test_files_go_both_ways_and_keep_their_place(tmp_path):
    (tmp_path / "ours").write_bytes(b"from us")
    (tmp_path / "theirs").write_bytes(b"from them")

    async def main():
        seen = []

        def take(message):
            [received] = message.descriptors
            seen.append((os.read(received, 100), os.get_inheritable(received), os.fstat(received).st_ino))
            with (tmp_path / "theirs").open("rb") as back:
                server.send(
                    Message(
                        Kind.RETURN,
                        reply_serial=message.serial,
                        signature="h",
                        body=[0],
                        descriptors=(back.fileno(),),
                    )
                )
            os.close(received)

        async with both_ends(ignore, take) as (client, server):
            with (tmp_path / "ours").open("rb") as file:
                file.seek(5)
                modifiers = {"install-local-packages": Typed("ah", [0])}
                reply = await client.call(
                    Message(
                        Kind.CALL,
                        path="/",
                        member="Take",
                        signature="a{sv}",
                        body=[modifiers],
                        descriptors=(file.fileno(),),
                    ),
                    TOO_LONG,
                )
                assert os.pread(file.fileno(), 4, 0) == b"from"
                assert os.fstat(file.fileno()).st_ino == seen[0][2]
            # the offset is shared between both sides, as unix(7) has it: nobody rewinds for the other
            assert seen[0][:2] == (b"us", False)
            [received] = reply.descriptors
            assert os.read(received, 100) == b"from them"
            assert not os.get_inheritable(received)
            os.close(received)

    run(main())


def test_as_many_files_as_the_kernel_passes_go_in_one_message():
    async def main():
        def count(message):
            for descriptor in message.descriptors:
                os.close(descriptor)
            server.answer(message, "u", [len(message.descriptors)])

        async with both_ends(ignore, count) as (client, server):
            with opened_null() as null:
                for number in (0, 17, 40, 253):
                    call = Message(Kind.CALL, path="/", member="C", descriptors=(null,) * number)
                    assert (await client.call(call, TOO_LONG)).body == [number]
                too_many = Message(Kind.CALL, path="/", member="C", descriptors=(null,) * 254)
                with pytest.raises(PeerClosed):
                    await client.call(too_many, TOO_LONG)

    run(main())


def test_files_of_a_message_that_takes_several_writes_arrive_once():
    async def main():
        def count(message):
            for descriptor in message.descriptors:
                os.close(descriptor)
            server.answer(message, "uu", [len(message.descriptors), len(message.body[0])])

        async with both_ends(ignore, count) as (client, server):
            with opened_null() as null:
                calls = [
                    client.call(
                        Message(
                            Kind.CALL,
                            path="/",
                            member="C",
                            signature="ay",
                            body=[bytes(size)],
                            descriptors=(null,) * number,
                        ),
                        TOO_LONG,
                    )
                    for size, number in ((3 << 20, 2), (1, 0), (1 << 20, 1), (2, 3))
                ]
                replies = [reply.body for reply in await asyncio.gather(*calls)]
            assert replies == [[2, 3 << 20], [0, 1], [1, 1 << 20], [3, 2]]

    run(main())


async def announces_more_than_it_sends(peer, descriptor):
    announced = Message(Kind.SIGNAL, path="/", interface="a.b", member="C", descriptors=(0, 0))
    await peer.send(announced, descriptors=(descriptor,))


async def sends_what_it_does_not_announce(peer, descriptor):
    await peer.send(signal("C"), descriptors=(descriptor,))
    await peer.raw(b"x" * 16)


@pytest.mark.parametrize(
    ("misbehaves", "reason"),
    [
        (announces_more_than_it_sends, "2 descriptors announced, 1 received"),
        (sends_what_it_does_not_announce, "byte order"),
    ],
)
def test_descriptors_and_announcements_that_differ_leave_nothing_open(misbehaves, reason):
    async def main():
        reading, writing = os.pipe()

        async def script(peer):
            await peer.welcome()
            await misbehaves(peer, writing)
            os.close(writing)
            await peer.until_left()

        with os.fdopen(reading, "rb", buffering=0):
            async with connected_to(script) as connection:
                assert reason in str(await connection.closed)
                await until_hung_up(reading)

    run(main())


def lock_given(message_of):
    """A script that answers a call late or wrongly, with the writing end of a pipe: a lock that must be let go."""

    async def script(peer, writing, *, after=None):
        await peer.welcome()
        call = await peer.message()
        if after is not None:
            await after.wait()
        await peer.send(*message_of(call), descriptors=(writing,))
        os.close(writing)
        await peer.until_left()

    return script


def granted(call):
    return Message(Kind.RETURN, reply_serial=call.serial, signature="h", body=[0], descriptors=(0,))


def test_an_answer_that_comes_too_late_is_let_go_with_its_descriptor():
    async def main():
        reading, writing = os.pipe()
        late = asyncio.Event()
        play = lock_given(lambda call: [granted(call)])
        with os.fdopen(reading, "rb", buffering=0):
            async with connected_to(lambda peer: play(peer, writing, after=late)) as connection:
                with pytest.raises(TimeoutError):
                    await connection.call(CALL, 0.01)
                late.set()
                await until_hung_up(reading)

    run(main())


def test_an_answer_that_comes_as_the_call_is_given_up_is_let_go_with_its_descriptor():
    async def main():
        reading, writing = os.pipe()
        play = lock_given(lambda call: [granted(call), signal("Now")])  # both are read in one turn of the loop
        with os.fdopen(reading, "rb", buffering=0):
            async with connected_to(lambda peer: play(peer, writing), lambda _now: calling.cancel()) as connection:
                calling = asyncio.ensure_future(connection.call(CALL, TOO_LONG))
                with pytest.raises(asyncio.CancelledError):
                    await calling
                await until_hung_up(reading)

    run(main())


def test_an_error_is_let_go_with_its_descriptor():
    async def main():
        reading, writing = os.pipe()

        def error(call):
            return [Message(Kind.ERROR, reply_serial=call.serial, error="a.b.E", descriptors=(0,))]

        play = lock_given(error)
        with os.fdopen(reading, "rb", buffering=0):
            async with connected_to(lambda peer: play(peer, writing)) as connection:
                with pytest.raises(RemoteError):
                    await connection.call(CALL, TOO_LONG)
                await until_hung_up(reading)

    run(main())


def test_an_answer_to_nothing_is_ignored():
    async def script(peer):
        await peer.welcome()
        call = await peer.message()
        stray = replace(call, serial=call.serial + 1000)
        await peer.send(returned(stray), refused(stray, "a.b.E", "stray"), returned(call), returned(call))
        await peer.send(returned(await peer.message(), "s", ["second"]))
        await peer.until_left()

    async def main():
        async with connected_to(script) as connection:
            assert (await connection.call(CALL, TOO_LONG)).body == []
            assert (await connection.call(CALL, TOO_LONG)).body == ["second"]

    run(main())
