"""A transaction is done, failed, lost, somebody else's or not started; ours alone is ever cancelled."""

import asyncio
import os
from dataclasses import replace

import pytest

from mcd_rt.dbus import transaction as transaction_module
from mcd_rt.dbus.bus import open_bus
from mcd_rt.dbus.names import RPM_OSTREE, TRANSACTION
from mcd_rt.dbus.transaction import Deadlines, Done, Failed, Foreign, Lost, NotStarted, Progress, run_transaction
from mcd_rt.dbus.wire import Kind, Message
from mcd_rt.sim.service import BusService
from tests.integration.peers import (
    Left,
    closes,
    finished,
    no_properties,
    private_bus,
    refused,
    returned,
    scripted,
    signal,
    stalls,
    until_hung_up,
)
from tests.leaks import run

PATIENT = Deadlines(connect=5, work=30)
CANCELLED = "Operation was cancelled"


def welcomed(script):
    async def whole(peer):
        await peer.welcome()
        await script(peer)

    return whole


async def outcome_of(script, deadlines=PATIENT, vanished=None, progress=None):
    """Run a transaction against a script of what comes after the handshake; the script must see us leave."""
    seen = [] if progress is None else progress

    async def whole(peer):
        await script(peer)
        await peer.until_left()

    async with scripted(welcomed(whole)) as address:
        return await run_transaction(
            address, vanished or asyncio.get_running_loop().create_future(), deadlines, seen.append
        )


async def asked(peer, member):
    """The next call, which must be this one."""
    call = await peer.message()
    assert (call.kind, call.path, call.interface, call.member) == (Kind.CALL, "/", TRANSACTION, member)
    return call


async def started(peer, *then):
    """Answer Start, with what follows in the same write."""
    await peer.send(returned(await asked(peer, "Start"), "b", [True]), *then)


def test_a_transaction_that_finished_is_done_and_its_progress_was_told_in_order():
    async def script(peer):
        await started(peer)
        await peer.send(
            signal("TaskBegin", "s", ["Importing"]),
            signal("PercentProgress", "su", ["Importing (1/2)", 50]),
            signal("PercentProgress", "su", ["Importing (2/2)", 100]),
            signal("ProgressEnd"),
            signal("TaskEnd", "s", ["done"]),
            signal("Message", "s", ["Checking out tree"]),
        )
        await peer.send(finished(worked=True))

    progress = []
    assert run(outcome_of(script, progress=progress)) == Done()
    assert progress == [
        Progress("Importing", -1),
        Progress("Importing (1/2)", 50),
        Progress("Importing (2/2)", 100),
        Progress("Checking out tree", -1),
    ]


def test_a_failure_keeps_the_text_of_rpm_ostree():
    async def script(peer):
        await started(peer)
        await peer.send(finished(worked=False, text="Package 'kernel' not found"))

    assert run(outcome_of(script)) == Failed("Package 'kernel' not found")


def test_an_end_in_the_same_write_as_the_answer_is_heard():
    async def script(peer):
        await started(peer, finished(worked=True))

    assert run(outcome_of(script)) == Done()


def test_an_end_before_the_answer_is_heard():
    async def script(peer):
        await peer.send(finished(worked=False, text="early"), returned(await asked(peer, "Start"), "b", [True]))

    assert run(outcome_of(script)) == Failed("early")


def test_three_thousand_signals_before_the_answer_are_heard():
    async def script(peer):
        start = await asked(peer, "Start")
        await peer.send(*(signal("PercentProgress", "su", [f"step {n}", n % 101]) for n in range(3000)))
        await peer.send(returned(start, "b", [True]), finished(worked=True))

    progress = []
    assert run(outcome_of(script, progress=progress)) == Done()
    assert progress == [Progress(f"step {n}", n % 101) for n in range(3000)]


def test_the_first_end_counts():
    async def script(peer):
        await started(peer, finished(worked=True), finished(worked=False, text="again"))

    assert run(outcome_of(script)) == Done()


def test_what_later_versions_say_is_no_matter():
    async def script(peer):
        await started(
            peer,
            signal("Finished", "s", ["of another type"]),
            signal("Finished", "bs", [False, "of another interface"], interface="org.example.Transaction"),
            signal("Message", "u", [7]),
            signal("Novelty", "a{sv}", [{}]),
            replace(finished(worked=False, text="a call"), kind=Kind.CALL),
            finished(worked=True),
        )

    progress = []
    assert run(outcome_of(script, progress=progress)) == Done()
    assert progress == []


# Lost


def test_a_peer_that_closes_midway_leaves_the_outcome_unknown():
    async def script(peer):
        await started(peer, signal("TaskBegin", "s", ["Importing"]))
        raise Left

    progress = []
    assert run(outcome_of(script, progress=progress)) == Lost("closed by the peer")
    assert progress == [Progress("Importing", -1)]


def test_an_end_before_the_close_counts():
    async def script(peer):
        await started(peer, finished(worked=True))
        raise Left

    assert run(outcome_of(script)) == Done()


@pytest.mark.parametrize("nonsense", [b"nonsense" * 4, b"l\4\0\1" + b"\xff" * 60])
def test_a_peer_that_talks_nonsense_leaves_the_outcome_unknown(nonsense):
    async def script(peer):
        await started(peer)
        await peer.raw(nonsense)

    assert isinstance(run(outcome_of(script)), Lost)


def test_a_daemon_that_leaves_the_bus_midway_leaves_the_outcome_unknown():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, 5) as bus:
            vanished = await bus.watch_owner(RPM_OSTREE)
            service = BusService(RPM_OSTREE, {}, no_properties)
            await service.start(daemon.address)

            async def script(peer):
                await started(peer)
                await service.stop()

            return await outcome_of(script, vanished=vanished)

    assert run(main()) == Lost("rpm-ostreed left the bus")


def test_a_peer_that_closes_on_start_may_have_begun():
    async def script(peer):
        await asked(peer, "Start")
        raise Left

    assert run(outcome_of(script)) == Lost("no answer to Start: closed by the peer")


def test_a_start_without_an_answer_may_have_begun(monkeypatch):
    monkeypatch.setattr(transaction_module, "_START_TIMEOUT", 0.05)

    async def script(peer):
        await asked(peer, "Start")

    assert run(outcome_of(script)) == Lost("no answer to Start: 0.05 s passed")


# Not ours, not started


def test_one_that_was_running_already_is_left_alone():
    async def script(peer):
        await peer.send(returned(await asked(peer, "Start"), "b", [False]))
        with pytest.raises(Left):
            await peer.message()  # neither joined nor cancelled: we just go

    assert run(outcome_of(script)) == Foreign()


def test_one_that_was_over_already_is_not_ours_either():
    async def script(peer):
        await peer.send(returned(await asked(peer, "Start"), "b", [False]), finished(worked=True))

    assert run(outcome_of(script)) == Foreign()


@pytest.mark.parametrize("body", [("", []), ("s", ["true"]), ("u", [1]), ("bb", [True, True])])
def test_an_answer_that_is_not_understood_claims_nothing(body):
    async def script(peer):
        await peer.send(returned(await asked(peer, "Start"), *body))

    assert run(outcome_of(script)) == Foreign()


def test_a_refused_start_began_nothing():
    async def script(peer):
        await peer.send(refused(await asked(peer, "Start"), "a.b.Error", "not today"))

    assert run(outcome_of(script)) == NotStarted("a.b.Error: not today")


@pytest.mark.parametrize(
    ("script", "deadlines", "reason"),
    [
        (stalls, Deadlines(connect=0.05, work=5), "no answer on unix:abstract="),
        (closes, PATIENT, "closed during authentication"),
    ],
)
def test_a_socket_that_is_not_to_be_had_began_nothing(script, deadlines, reason):
    async def main():
        async with scripted(script) as address:
            return await run_transaction(
                address, asyncio.get_running_loop().create_future(), deadlines, lambda _progress: None
            )

    outcome = run(main())
    assert isinstance(outcome, NotStarted)
    assert outcome.reason.startswith(reason)


@pytest.mark.parametrize("address", ["", "unix:path=/nowhere", "no address"])
def test_an_address_that_leads_nowhere_began_nothing(address):
    async def main():
        return await run_transaction(
            address, asyncio.get_running_loop().create_future(), PATIENT, lambda _progress: None
        )

    outcome = run(main())
    assert isinstance(outcome, NotStarted)
    assert "cannot connect" in outcome.reason


# Too long

SOON = Deadlines(connect=5, work=0.05)


def test_ours_is_cancelled_past_its_deadline_and_its_end_awaited():
    async def script(peer):
        await started(peer)
        await peer.send(returned(await asked(peer, "Cancel")))
        await peer.send(signal("TaskEnd", "s", ["done"]), finished(worked=False, text=CANCELLED))

    assert run(outcome_of(script, SOON)) == Failed(f"cancelled after 0.05 s: {CANCELLED}")


def test_one_that_finished_as_it_was_cancelled_is_done():
    async def script(peer):
        await started(peer)
        await peer.send(returned(await asked(peer, "Cancel")), finished(worked=True))

    assert run(outcome_of(script, SOON)) == Done()


async def refuses_to_stop(peer):
    await started(peer)
    await peer.send(refused(await asked(peer, "Cancel"), "a.b.Error", "too late"))


async def ignores_cancel(peer):
    await started(peer)
    await asked(peer, "Cancel")


async def hangs_up_on_cancel(peer):
    await ignores_cancel(peer)
    raise Left


async def hangs_up_after_cancel(peer):
    await started(peer)
    await peer.send(returned(await asked(peer, "Cancel")))
    raise Left


async def goes_on(peer):
    await started(peer)
    await peer.send(returned(await asked(peer, "Cancel")))


@pytest.mark.parametrize(
    ("script", "patience", "reason"),
    [
        (refuses_to_stop, 30, "could not be cancelled: a.b.Error: too late"),
        (hangs_up_on_cancel, 30, "could not be cancelled: closed by the peer"),
        (ignores_cancel, 0.05, "could not be cancelled: no answer in 0.05 s"),
        (hangs_up_after_cancel, 30, "did not stop when cancelled"),
        (goes_on, 0.3, "did not stop when cancelled"),
    ],
)
def test_one_that_cannot_be_cancelled_is_lost(monkeypatch, script, patience, reason):
    monkeypatch.setattr(transaction_module, "_CANCEL_TIMEOUT", patience)
    assert run(outcome_of(script, SOON)) == Lost(f"not finished in 0.05 s, and {reason}")


# Nothing is left


def test_descriptors_that_come_along_are_closed():
    async def main():
        reading, writing = os.pipe()

        async def script(peer):
            start = await asked(peer, "Start")
            gift = Message(Kind.RETURN, reply_serial=start.serial, signature="b", body=[True], descriptors=(0,))
            await peer.send(gift, descriptors=(writing,))
            gift = Message(Kind.SIGNAL, path="/", interface=TRANSACTION, member="Message", descriptors=(0,))
            await peer.send(gift, descriptors=(writing,))
            cancel = await asked(peer, "Cancel")
            gift = Message(Kind.RETURN, reply_serial=cancel.serial, descriptors=(0,))
            await peer.send(gift, descriptors=(writing,))
            os.close(writing)
            await peer.send(finished(worked=True))

        with os.fdopen(reading, "rb", buffering=0):
            assert await outcome_of(script, SOON) == Done()
            await until_hung_up(reading)

    run(main())


def test_cancelling_whoever_waits_closes_the_socket_and_cancels_no_transaction():
    async def main():
        working = asyncio.Event()
        left = asyncio.Event()

        async def script(peer):
            await started(peer)
            working.set()
            with pytest.raises(Left):
                await peer.message()
            left.set()

        async with scripted(welcomed(script)) as address:
            never = asyncio.get_running_loop().create_future()
            waiting = asyncio.ensure_future(run_transaction(address, never, PATIENT, lambda _progress: None))
            await working.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await left.wait()

    run(main())
