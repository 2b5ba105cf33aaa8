"""The system bus: found, welcoming or not, and never waited for for ever."""

import asyncio
import os
import tempfile

import pytest

from mcd_rt.dbus import bus as bus_module
from mcd_rt.dbus.bus import SYSTEM_BUS, bus_address, open_bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import BUS, BUS_PATH
from mcd_rt.dbus.wire import Kind, Message, Typed
from mcd_rt.errors import AgentError, Code
from tests.integration.peers import (
    Left,
    client_of,
    closes,
    private_bus,
    refused,
    returned,
    scripted,
    serving,
    signal,
    stalls,
    takes_all,
    until_hung_up,
)
from tests.leaks import run

TOO_LONG = 5
"""Seconds; a deadline that is not meant to pass."""

NAME = "org.example.Thing"


async def opened_in_vain(address, seconds=TOO_LONG):
    with pytest.raises(AgentError) as caught:
        async with open_bus(address, seconds):
            pytest.fail("this is no bus")
    assert caught.value.failure.code is Code.BUS_UNAVAILABLE
    assert caught.value.failure.hint
    return caught.value.failure.message


def test_the_address_is_the_environment_s_or_the_well_known_one(monkeypatch):
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    assert bus_address() == SYSTEM_BUS
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "")
    assert bus_address() == SYSTEM_BUS
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/elsewhere")
    assert bus_address() == "unix:path=/elsewhere"


# No bus


def test_a_missing_bus_is_unavailable():
    assert "/nowhere" in run(opened_in_vain("unix:path=/nowhere"))


def welcomes_then(end):
    async def script(peer):
        await peer.welcome()
        await end(peer, await peer.message())
        await peer.until_left()

    return script


async def is_silent(_peer, _hello):
    await asyncio.get_running_loop().create_future()


async def hangs_up(_peer, _hello):
    raise Left


async def refuses(peer, hello):
    await peer.send(refused(hello, f"{BUS}.Error.LimitsExceeded", "too many of you"))


async def talks_nonsense(peer, _hello):
    await peer.raw(b"nonsense" * 4)


@pytest.mark.parametrize(
    ("script", "seconds", "told"),
    [
        (stalls, 0.05, "no answer from the bus"),
        (closes, TOO_LONG, "during authentication"),
        (welcomes_then(is_silent), 0.3, "did not welcome us: no answer"),
        (welcomes_then(hangs_up), TOO_LONG, "closed by the peer"),
        (welcomes_then(refuses), TOO_LONG, "too many of you"),
        (welcomes_then(talks_nonsense), TOO_LONG, "byte order"),
    ],
)
def test_what_is_no_bus_is_unavailable_in_time(script, seconds, told):
    async def main():
        async with scripted(script) as address:
            assert told in await opened_in_vain(address, seconds)

    run(main())


def test_a_body_that_fails_closes_the_connection():
    async def main():
        left = asyncio.Event()

        async def script(peer):
            await peer.welcome()
            await peer.send(returned(await peer.message(), "s", [":1.1"]))
            await peer.until_left()
            left.set()

        async with scripted(script) as address:
            with pytest.raises(ZeroDivisionError):
                async with open_bus(address, TOO_LONG):
                    raise ZeroDivisionError
            await left.wait()

    run(main())


# A real one


def test_fifty_connections_leave_no_descriptor_behind():
    async def main():
        async with private_bus() as daemon:
            for _ in range(50):
                async with open_bus(daemon.address, TOO_LONG):
                    pass

    run(main())


def test_two_thousand_signals_reach_another_client():
    async def main():
        complete = asyncio.Event()
        heard = []

        def listen(message):
            if message.interface == "org.example.Burst":
                heard.append(message.body[0])
                if len(heard) == 2000:
                    complete.set()

        async with private_bus() as daemon, open_bus(daemon.address, TOO_LONG) as receiver:
            await receiver.watch("interface='org.example.Burst'", listen)
            async with open_bus(daemon.address, TOO_LONG) as sender:
                for number in range(2000):
                    sender._connection.send(
                        signal("C", "us", [number, "x" * 300], interface="org.example.Burst"),
                    )
                await complete.wait()
        assert heard == list(range(2000))

    run(main())


def test_calls_are_answered_and_errors_raised():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, TOO_LONG) as bus:
            [names] = await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)
            assert BUS in names
            with pytest.raises(RemoteError) as caught:
                await bus.call(NAME, "/", f"{NAME}.Method", "s", ["x"], timeout=TOO_LONG)
            assert caught.value.name == f"{BUS}.Error.ServiceUnknown"

    run(main())


def test_a_property_is_read_without_its_signatures():
    def properties(_path, _interface):
        return {"List": Typed("aa{sv}", [{"a": Typed("s", "x")}]), "Word": Typed("s", "y")}

    async def main():
        async with client_of(NAME, {}, properties) as bus:
            assert await bus.read_property(NAME, "/", f"{NAME}.Word", TOO_LONG) == "y"
            assert await bus.read_property(NAME, "/", f"{NAME}.List", TOO_LONG) == [{"a": "x"}]
            with pytest.raises(RemoteError):
                await bus.read_property(NAME, "/", f"{NAME}.Absent", TOO_LONG)

    run(main())


def test_a_property_that_is_answered_with_nothing_is_an_error():
    async def script(peer):
        await peer.welcome()
        await peer.send(returned(await peer.message(), "s", [":1.1"]))
        await peer.send(returned(await peer.message()))
        await peer.until_left()

    async def main():
        async with scripted(script) as address, open_bus(address, TOO_LONG) as bus:
            with pytest.raises(RemoteError, match="0 values"):
                await bus.read_property(NAME, "/", f"{NAME}.Word", TOO_LONG)

    run(main())


def test_whoever_waits_is_told_when_the_bus_is_killed():
    async def main():
        arrived = []
        all_there = asyncio.Event()

        async def never(call):
            arrived.append(call)
            if len(arrived) == 5:
                all_there.set()
            await asyncio.get_running_loop().create_future()

        async with (
            private_bus() as daemon,
            serving(daemon.address, NAME, {f"{NAME}.Wait": never}),
            open_bus(daemon.address, TOO_LONG) as bus,
        ):
            calls = [asyncio.ensure_future(bus.call(NAME, "/", f"{NAME}.Wait", timeout=TOO_LONG)) for _ in range(5)]
            await all_there.wait()
            daemon._process.kill()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [PeerClosed] * 5
            assert isinstance(await bus.closed, PeerClosed)
            with pytest.raises(PeerClosed):
                await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)

    run(main())


def test_a_name_that_loses_its_owner_is_told_and_one_that_gets_one_is_not():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, TOO_LONG) as bus:
            vanished = await bus.watch_owner(NAME)
            other = await bus.watch_owner("org.example.Other")
            async with serving(daemon.address, NAME, {}):
                await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)
                assert not vanished.done()
            await vanished
            async with serving(daemon.address, NAME, {}):  # a second loss changes nothing
                pass
            await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)
            assert not other.done()

    run(main())


def test_only_the_bus_itself_is_believed_about_owners():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, TOO_LONG) as bus:
            vanished = await bus.watch_owner(NAME)
            [_, *names] = (await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG))[0]
            async with open_bus(daemon.address, TOO_LONG) as liar:
                for signature, body in (("sss", [NAME, ":1.1", ""]), ("s", [NAME]), ("u", [1]), ("", [])):
                    for name in names:
                        lie = Message(
                            Kind.SIGNAL,
                            destination=name,
                            path=BUS_PATH,
                            interface=BUS,
                            member="NameOwnerChanged",
                            signature=signature,
                            body=body,
                        )
                        liar._connection.send(lie)
                await liar.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)  # the lies were passed on
            await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)  # and heard
            assert not vanished.done()

    run(main())


def test_descriptors_that_nobody_asked_for_are_closed():
    async def main():
        reading, writing = os.pipe()

        async def script(peer):
            await peer.welcome()
            await peer.send(returned(await peer.message(), "s", [":1.1"]))
            await peer.send(
                Message(Kind.SIGNAL, path="/", interface="a.b", member="C", descriptors=(0,)), descriptors=(writing,)
            )
            call = await peer.message()
            gift = Message(Kind.RETURN, reply_serial=call.serial, descriptors=(0,))
            await peer.send(gift, descriptors=(writing,))
            os.close(writing)
            await peer.until_left()

        with os.fdopen(reading, "rb", buffering=0):
            async with scripted(script) as address, open_bus(address, TOO_LONG) as bus:
                await bus.call(BUS, BUS_PATH, f"{BUS}.ListNames", timeout=TOO_LONG)
                await until_hung_up(reading)

    run(main())


def test_a_file_goes_through_a_real_bus():
    async def main():
        async def take(call):
            return "s", [os.read(call.descriptors[0], 100).decode()]

        async with client_of(NAME, {f"{NAME}.Take": take}) as bus:
            with tempfile.TemporaryFile() as file:
                file.write(b"an RPM")
                file.flush()
                file.seek(3)
                reply = await bus.call(
                    NAME, "/", f"{NAME}.Take", "h", [0], timeout=TOO_LONG, descriptors=(file.fileno(),)
                )
                assert reply == ["RPM"]

    run(main())


def test_a_call_to_a_mute_service_costs_its_deadline():
    async def main():
        async with private_bus() as daemon, serving(daemon.address, NAME, {}) as service:
            service.is_mute = lambda: True
            async with open_bus(daemon.address, TOO_LONG) as bus:
                with pytest.raises(TimeoutError):
                    await bus.call(NAME, "/", f"{NAME}.Method", timeout=0.05)
                with pytest.raises(TimeoutError):
                    await bus.read_property(NAME, "/", f"{NAME}.Word", 0.05)

    run(main())


async def watched_in_vain(bus, told):
    with pytest.raises(AgentError) as caught:
        await bus.watch("nonsense", lambda _message: None)
    assert caught.value.failure.code is Code.BUS_UNAVAILABLE
    assert told in caught.value.failure.message


def test_a_bus_that_does_not_take_a_rule_is_unavailable():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, TOO_LONG) as bus:
            await watched_in_vain(bus, "MatchRuleInvalid")
            daemon._process.kill()
            await bus.closed
            await watched_in_vain(bus, "closed by the peer")

    run(main())


def test_a_bus_that_answers_no_more_is_unavailable(monkeypatch):
    monkeypatch.setattr(bus_module, "_BUS_TIMEOUT", 0.05)

    async def script(peer):
        await peer.welcome()
        await peer.send(returned(await peer.message(), "s", [":1.1"]))
        await peer.until_left()

    async def main():
        async with scripted(script) as address, open_bus(address, TOO_LONG) as bus:
            await watched_in_vain(bus, "no answer in 0.05 s")

    run(main())


def test_cancelling_while_it_opens_leaves_nothing():
    async def main():
        asked = asyncio.Event()

        async def script(peer):
            await peer.welcome()
            await peer.message()
            asked.set()
            await takes_all(peer)

        async def use(address):
            async with open_bus(address, TOO_LONG):
                pytest.fail("this bus never answers")

        async with scripted(script) as address:
            using = asyncio.ensure_future(use(address))
            await asked.wait()
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using

    run(main())
