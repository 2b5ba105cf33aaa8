"""The simulated rpm-ostree against recordings of the genuine one: same calls, same answers, same deployments.

Each recording has a class. ``COMPUTED``: the simulator works everything out. ``INJECTED``: a real solver,
scripts or payloads decided; their text comes from the fault table. ``CLIENT``: the genuine client never got
as far as a transaction. Compared are named fields; checksums of assembled commits, times, unique names and
addresses are not.
"""

import asyncio
import json
import os
import re
import shlex
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pytest

from mcd_rt.dbus.bus import Bus, open_bus
from mcd_rt.dbus.connection import Connection, RemoteError, open_socket
from mcd_rt.dbus.names import RPM_OSTREE, SYSROOT, SYSROOT_PATH, TRANSACTION
from mcd_rt.dbus.wire import Kind, Message, Typed, Value, plain
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim import faults
from mcd_rt.sim.faults import Fail, Faults, Hold
from mcd_rt.sim.image import build_rpm
from mcd_rt.sim.privatebus import PrivateBus
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.rpmostree import Consequences, RpmOstree
from mcd_rt.sim.world import Base, Deployment, Origin, Repository, Rpm, System, Tree

CAPTURES = Path(__file__).parents[1] / "captures"
TIMEOUT = 10.0


class Class(Enum):
    COMPUTED = auto()
    INJECTED = auto()
    CLIENT = auto()


@dataclass(frozen=True)
class Row:
    """How a recording is replayed: ``failure`` is injected, ``foreign`` is the title of what was running."""

    kind: Class = Class.COMPUTED
    failure: Fail | None = None
    foreign: str = ""
    repository: Repository | None = None
    damage: Callable[[bytes], bytes] = lambda rpm: rpm


def flipped(rpm: bytes) -> bytes:
    return rpm[:-20] + bytes(byte ^ 0xFF for byte in rpm[-20:])


COMPUTED = Row()
USBGUARD = Row(repository=Repository("ext", ("usbguard", "usbguard-selinux")))
SLOW = "install /run/rpms/extra/slowpost-9-3.el9.x86_64.rpm "

ROWS = {
    "01-override-remove-kernel-install-rt": COMPUTED,
    "02-override-remove-again-pending": COMPUTED,
    "03-override-remove-not-in-base": COMPUTED,
    "04-uninstall-not-installed": COMPUTED,
    "05-uninstall-base-pkg": COMPUTED,
    "06-install-missing-dep": Row(Class.INJECTED, faults.DEPSOLVE_DEPENDENCY),
    "07-install-truncated": Row(Class.INJECTED, damage=lambda rpm: rpm[:150]),
    "08-install-garbage": Row(Class.INJECTED, damage=lambda _rpm: b"garbage" * 100),
    "09-install-corruptpayload": Row(Class.INJECTED, damage=flipped),
    "10-install-already-requested-local": COMPUTED,
    "11-install-missing-file": Row(Class.CLIENT),
    "12-install-badpost": Row(Class.INJECTED, faults.SCRIPT_POST),
    "13-install-file-conflict": Row(Class.INJECTED, faults.FILE_CONFLICT),
    "14-install-opt-file": Row(Class.INJECTED, faults.IMPORT_LABEL),
    "15-install-no-repos": COMPUTED,
    "21-override-remove-again-booted": COMPUTED,
    "22-rt-switch-again": COMPUTED,
    "23-override-reset-not-active": COMPUTED,
    "25-reset-without-uninstall": COMPUTED,
    "28-cleanup-pending": COMPUTED,
    "29-cleanup-pending-when-none": COMPUTED,
    "30-reset-and-uninstall": COMPUTED,
    "31-cleanup-pending": COMPUTED,
    "33-cleanup-pending": COMPUTED,
    "36-rebase-nonexistent-ref": COMPUTED,
    "37-rebase-same": COMPUTED,
    "38-upgrade-nochange": COMPUTED,
    "39-deploy-unknown-csum": COMPUTED,
    "40-second-txn-other-rpm-while-running": Row(foreign=SLOW),
    "42-cleanup": COMPUTED,
    "43-cancel": Row(foreign=SLOW),
    "44-cancel-when-idle": Row(Class.CLIENT),
    "48-cleanup": COMPUTED,
    "51-reset-and-uninstall": COMPUTED,
    "53-override-replace-kernel-core-with-rt": COMPUTED,
    "55-override-remove-kernel-core-only": Row(Class.INJECTED, faults.DEPSOLVE_KERNEL_CORE),
    "56-cleanup": COMPUTED,
    "59-cleanup": COMPUTED,
    "61-cleanup": COMPUTED,
    "62-rt-missing-modules-core": Row(Class.INJECTED, faults.DEPSOLVE_MODULES_CORE),
    "66-rebase-next-plain": COMPUTED,
    "67-kargs": COMPUTED,
    "69-cleanup": COMPUTED,
    "70-install-from-repo": USBGUARD,
    "73-uninstall-repo-pkg": USBGUARD,
    "75-rebase-to-bare-checksum": COMPUTED,
}


# GVariant text, as the recordings have it: each value with its signature.

TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<word>@\w+|true|false|handle|objectpath|uint32|uint64|int32)
  | (?P<number>-?\d+)
  | (?P<mark>[()\[\]{}<>,:]))""",
    re.VERBOSE,
)


class GVariant:
    """A reader of GVariant text; a body is a tuple, of which the values are wanted."""

    def __init__(self, text: str) -> None:
        self._tokens = [(match.lastgroup, match.group(match.lastgroup or 0)) for match in TOKEN.finditer(text)]
        self._at = 0

    def body(self) -> list[Value]:
        _signature, value = self._value()
        assert isinstance(value, list)
        return value

    def _next(self) -> tuple[str | None, str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _items(self, end: str) -> list[tuple[str, Value]]:
        items = []
        while self._tokens[self._at][1] != end:
            items.append(self._value())
            if self._tokens[self._at][1] == ",":
                self._at += 1
        self._at += 1
        return items

    def _value(self) -> tuple[str, Value]:
        group, text = self._next()
        match group, text:
            case "string", _:
                return "s", text[1:-1].encode().decode("unicode_escape")
            case "number", _:
                return "i", int(text)
            case "word", "true" | "false":
                return "b", text == "true"
            case "word", "handle" | "objectpath" | "uint32" | "uint64" | "int32":
                return {"handle": "h", "objectpath": "o"}.get(text, text[0]), self._value()[1]
            case "word", _:
                return text[1:], self._value()[1]
            case "mark", "<":
                signature, value = self._value()
                assert self._next()[1] == ">"
                return "v", Typed(signature, value)
            case "mark", "(":
                items = self._items(")")
                return "(" + "".join(signature for signature, _ in items) + ")", [value for _, value in items]
            case "mark", "[":
                return self._array()
            case "mark", "{":
                return "a{sv}", self._dictionary()
        raise AssertionError(text)

    def _array(self) -> tuple[str, Value]:
        if self._tokens[self._at][1] == "handle":  # GVariant says the type of an array's items once
            self._at += 1
            return "ah", [value for _, value in self._items("]")]
        items = self._items("]")
        return "a" + (items[0][0] if items else "s"), [value for _, value in items]

    def _dictionary(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self._tokens[self._at][1] != "}":
            _, key = self._value()
            assert self._next()[1] == ":"
            found[str(key)] = self._value()[1]
            if self._tokens[self._at][1] == ",":
                self._at += 1
        self._at += 1
        return found


# The recorded host as the simulator's values.

STABLE, NEXT = (
    "164aaadd3dbeb51af49659eb175dca50fa58af91368bb6052bf5ea97cd80e5c3",
    "1205376abe5f4e44ceaf26ec83bb4eca79bb4288064bb5c729d2a85845537574",
)
KERNEL = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core", "kernel-modules-extra")


def recorded_base(checksum: str, branch: str, version: str, release: str) -> Base:
    kernel = f"5.14.0-{release}.x86_64"
    packages = [f"{name}-{kernel}" for name in KERNEL]
    packages += ["bash-5.1.8-6.el9.x86_64", "podman-4.4.1-3.el9.x86_64"]
    return Base(checksum, version, tuple(packages), kernel, (f"testos:testos/x86_64/{branch}",))


BASES = (
    recorded_base(STABLE, "stable", "414.92.202305090606-0", "284.el9"),
    recorded_base(NEXT, "next", "414.93.202306011200-0", "362.el9"),
)


def kernel_release(nevra: str) -> str:
    parts = Nevra.parse(nevra)
    return f"{parts.version}-{parts.release}.x86_64+rt" if parts.name.startswith("kernel-rt") else ""


def seeded_deployment(recorded: dict[str, Any], digests: dict[str, str], arguments: str) -> Deployment:
    def rpms(key: str) -> tuple[Rpm, ...]:
        return tuple(Rpm(nevra, digests[nevra], kernel_release(nevra)) for nevra in sorted(recorded[key]))

    base = next(base for base in BASES if base.checksum == recorded.get("base-checksum", recorded["checksum"]))
    origin = Origin(
        recorded["origin"],
        packages=tuple(sorted(recorded["requested-packages"])),
        local=rpms("requested-local-packages"),
        removals=tuple(sorted(recorded["requested-base-removals"])),
        replacements=rpms("requested-base-local-replacements"),
    )
    return Deployment(
        Tree(base, origin),
        recorded["checksum"],
        int(recorded["id"].rpartition(".")[2]),
        arguments,
        booted=recorded["booted"],
        staged=recorded.get("staged", False),
        locked=recorded.get("finalization-locked", False),
        pinned=recorded["pinned"],
    )


def seeded_system(capture: dict[str, Any], row: Row) -> System:
    digests = {nevra: sha for sha, nevra in re.findall(r"([0-9a-f]{64}):([^;]+);", capture["origins_before"])}
    configs = [entry for entry in capture["bus"] if entry.get("call", "").endswith("GetDeploymentBootConfig")]
    arguments = re.findall(r"'options': <'([^']*)'>", configs[0]["reply"])[0] if configs else "root=/dev/fake rw"
    deployments = (seeded_deployment(each, digests, arguments) for each in capture["deployments_before"])
    return System("testos", tuple(deployments), BASES, row.repository)


# The replay.


@dataclass
class Heard:
    """What the transaction said: kinds and texts."""

    signals: list[tuple[str, str]] = field(default_factory=list)
    finished: "asyncio.Future[list[Value]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __call__(self, message: Message) -> None:
        if message.kind is Kind.SIGNAL:
            self.signals.append((message.member, str(message.body[0]) if message.body else ""))
            if message.member == "Finished":
                self.finished.set_result(message.body)


class Replay:
    """One recording's client: makes the recorded calls and compares each answer."""

    def __init__(self, bus: Bus, rpms: list[Path], stack: AsyncExitStack) -> None:
        self._bus = bus
        self._rpms = rpms
        self._stack = stack
        self._address = ""
        self._peer: Connection | None = None
        self.heard = Heard()

    async def call(self, entry: dict[str, Any]) -> None:
        if "on" in entry:
            await self._call_transaction(entry)
            return
        descriptors = tuple(os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in self._rpms[: entry.get("fds", 0)])
        calling = self._bus.call(
            RPM_OSTREE,
            entry["path"],
            entry["call"],
            entry["signature"],
            GVariant(entry["body"]).body(),
            timeout=TIMEOUT,
            descriptors=descriptors,
        )
        [reply] = await asyncio.gather(calling, return_exceptions=True)
        for descriptor in descriptors:
            os.close(descriptor)
        expected = GVariant(entry["reply"]).body()
        if "error" in entry:
            assert isinstance(reply, RemoteError)
            assert (reply.name, reply.text) == (entry["error"], expected[0])
            return
        assert isinstance(reply, list), reply
        if expected and isinstance(expected[0], str) and expected[0].startswith("unix:"):
            self._address = str(reply[0])
            assert self._address.partition("=")[0] == expected[0].partition("=")[0]
        else:
            assert [plain(value) for value in reply] == [plain(value) for value in expected]

    async def _call_transaction(self, entry: dict[str, Any]) -> None:
        if not self._address:  # the client attached to what was going on
            path = await self._bus.read_property(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.ActiveTransactionPath", TIMEOUT)
            self._address = str(plain(path))
        self._peer = Connection(await open_socket(self._address, TIMEOUT), self.heard)
        self._stack.callback(self._peer.close)
        self._peer.start()
        member = entry["call"].rpartition(".")[2]
        reply = await self._peer.call(Message(Kind.CALL, path="/", interface=TRANSACTION, member=member), TIMEOUT)
        assert reply.body == GVariant(entry["reply"]).body()
        await asyncio.wait_for(asyncio.shield(self.heard.finished), TIMEOUT)
        self._peer.close()


def told(signals: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is compared of the signals: runs folded; not the title, which races, sizes, or how a cache is."""
    kept = []
    for member, text in signals:
        if member == "PropertiesChanged" or text.startswith(("Freed:", "rpm-md repo")):
            continue
        said = (member, re.sub(r" \(\d+/\d+\)$", "", text) if member == "PercentProgress" else text)
        if member != "PercentProgress" or kept[-1:] != [said]:
            kept.append(said)
    return kept


def recorded_signals(capture: dict[str, Any]) -> list[tuple[str, str]]:
    bodies = [(entry["signal"], entry["body"]) for entry in capture["bus"] if "signal" in entry]
    parsed = [(signal, GVariant(body).body() if signal != "PropertiesChanged" else []) for signal, body in bodies]
    return [(signal, str(body[0]) if body else "") for signal, body in parsed]


COMPARED = (
    "origin", "version", "base-checksum", "base-version", "booted", "staged", "finalization-locked", "pinned",
    "packages", "requested-packages", "requested-local-packages", "requested-base-removals",
    "requested-base-local-replacements", "base-removals", "base-local-replacements", "regenerate-initramfs", "unlocked",
)  # fmt: skip


def compared(deployment: dict[str, Any]) -> dict[str, Any]:
    found = {key: deployment[key] for key in COMPARED if key in deployment}
    found["serial"] = deployment["id"].rpartition(".")[2]
    found["layered"] = deployment.get("base-checksum", deployment["checksum"]) != deployment["checksum"]
    return {key: sorted(value) if isinstance(value, list) else value for key, value in found.items()}


@asynccontextmanager
async def simulated(system: System, switches: Faults) -> Any:
    bus = PrivateBus()
    consequences = Consequences(lambda _system: None, lambda _finished: None, lambda _process: None)
    daemon = RpmOstree(system, PROFILES["2020.8"], switches, consequences)
    try:
        await bus.start()
        await daemon.start(bus.address, bus.place)
        yield bus.address, daemon
    finally:
        await daemon.stop()
        await bus.stop()


def written_rpms(command: str, row: Row, directory: Path) -> list[Path]:
    """Real RPMs of the names on the command line, in its order."""
    found = []
    for word in shlex.split(command):
        if word.endswith(".rpm") and row.kind is not Class.CLIENT:
            nevra = Nevra.parse(Path(word).stem)
            path = directory / Path(word).name
            path.write_bytes(row.damage(build_rpm(nevra, kernel_release=kernel_release(str(nevra)), payload=b"x" * 99)))
            found.append(path)
    return found


async def replay(capture: dict[str, Any], row: Row, directory: Path) -> None:
    switches = Faults(at=[row.failure] if row.failure else [])
    async with AsyncExitStack() as stack:
        address, daemon = await stack.enter_async_context(simulated(seeded_system(capture, row), switches))
        bus = await stack.enter_async_context(open_bus(address, TIMEOUT))
        if row.foreign:
            hold: Hold = daemon.begin_foreign(row.foreign)
            await hold.reached.wait()
        client = Replay(bus, written_rpms(capture["command"], row, directory), stack)
        for entry in capture["bus"]:
            if "call" in entry:
                await client.call(entry)
        after = plain(await bus.read_property(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Deployments", TIMEOUT))
        assert [compared(each) for each in after] == [compared(each) for each in capture["deployments_after"]]
        finished = [entry["body"] for entry in capture["bus"] if entry.get("signal") == "Finished"]
        if finished:
            assert client.heard.finished.result() == GVariant(finished[0]).body()
            assert told(client.heard.signals) == told(recorded_signals(capture))
    assert not switches.at or row.foreign, "an injected failure was not met"


@pytest.mark.parametrize("name", ROWS)
def test_same_as_recorded(name: str, tmp_path: Path) -> None:
    capture = json.loads((CAPTURES / f"{name}.json").read_text())
    asyncio.run(replay(capture, ROWS[name], tmp_path))


def test_every_recording_has_a_class() -> None:
    assert {path.stem for path in CAPTURES.glob("*.json")} == set(ROWS)


def test_client_only_means_no_transaction() -> None:
    for name, row in ROWS.items():
        calls = [e["call"] for e in json.loads((CAPTURES / f"{name}.json").read_text())["bus"] if "call" in e]
        began = any(".OS." in call or ".Transaction." in call for call in calls)
        assert began == (row.kind is not Class.CLIENT), name
