"""What fuzzing and looking for bombs has found: each would fill a memory, stall a worker, or end it without a word."""

import asyncio
import io
import socket
import struct
from pathlib import Path

import pytest

from mcd_rt.content import rpm
from mcd_rt.content.archive import MAX_PATH, members
from mcd_rt.content.decompress import ByteStream
from mcd_rt.content.overlay import MAX_NAMES, Layer, Shadow
from mcd_rt.content.panics import panics_as_errors
from mcd_rt.content.proxy import Proxy
from mcd_rt.content.skopeo import skopeo_for
from mcd_rt.content.trust import Key, _verifier
from mcd_rt.control import Reply, Verb, ask_agent, follow_agent
from mcd_rt.dbus.connection import MAX_DESCRIPTORS, Connection
from mcd_rt.dbus.logind import blocking_inhibitors
from mcd_rt.dbus.wire import Kind, Message, encode
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.demokey import PUBLIC_KEY
from mcd_rt.sim.image import _archive, build_rpm
from tests.fuzz.mutation import CORPUS
from tests.fuzz.places import say, serving
from tests.leaks import leaves_nothing, run

RPM = build_rpm(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), kernel_release="1.x86_64", payload=b"x")
SIGNATURE_HEADER = RPM[: RPM.index(b"\x8e\xad\xe8\x01", 97)]
INT32, STRINGS, STRING = 4, 8, 6
NAME, BASE_NAMES, DIRECTORIES, DIRECTORY_OF = 1000, 1117, 1118, 1116


def with_header(entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """The head of an RPM whose header has these entries: tag, type, count, data."""
    index, store = b"", b""
    for tag, kind, count, data in entries:
        store += bytes(-len(store) % 4)
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += data
    return SIGNATURE_HEADER + b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", len(entries), len(store)) + index + store


def refused(data: bytes) -> AgentError:
    with pytest.raises(AgentError) as caught:
        rpm.describe(rpm.peek(io.BytesIO(data).read, "a.rpm").prefix, "a.rpm")
    assert caught.value.failure.code is Code.PACKAGE_CORRUPT
    return caught.value


def test_entries_of_a_header_may_not_share_what_they_have():
    shared = struct.pack(">IIII", 5000, STRINGS, 0, 100_000) * 1000
    data = SIGNATURE_HEADER + b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", 1000, 200_000) + shared + bytes(200_000)
    assert "has more values than it can have" in str(refused(data))


def test_the_values_of_an_entry_are_bounded():
    count = rpm.MAX_ITEMS + 1
    assert "has more values than it can have" in str(refused(with_header([(NAME, STRINGS, count, bytes(count))])))


def test_file_names_that_multiply_their_directories_are_not_multiplied():
    """3000 names of one directory of 30000 characters are 90 MB in a header of 45 kB; it can be made of any size."""
    count = 3000
    data = with_header(
        [
            (DIRECTORY_OF, INT32, count, bytes(4 * count)),
            (BASE_NAMES, STRINGS, count, b"a\0" * count),
            (DIRECTORIES, STRINGS, 1, b"/" + b"d" * 30000 + b"\0"),
            *((tag, STRING, 1, b"1\0") for tag in (NAME, 1001, 1002, 1022)),
        ]
    )
    assert "3000 files in directories of up to 30001 characters" in str(refused(data))


def test_a_path_no_host_could_have_is_refused():
    data = _archive({"extensions/" + "a/" * MAX_PATH: b""})
    with pytest.raises(AgentError, match="has a member with a path of 8203 characters") as caught:
        list(members(ByteStream(iter([data])), "layer x"))
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE


def test_of_a_deep_path_only_what_can_hide_an_rpm_is_remembered():
    layer = Layer()
    for number in range(100):
        layer.add("extensions/x/y.rpm/" + f"{number}/" * 500 + "z", directory=False)
    assert len(layer.taken) < 500
    assert layer.above(Shadow()).hides("extensions/x/y.rpm")


def test_the_names_of_a_layer_are_bounded():
    layer = Layer()
    for number in range(MAX_NAMES - 2):  # with the two above them
        layer.add(f"extensions/{number}", directory=True)
    with pytest.raises(ValueError, match=f"is one of more than {MAX_NAMES} names"):
        layer.add("extensions/x", directory=True)


def test_a_key_at_which_the_library_panics_is_passed_over(capfd):
    panic, good = Key("bad", (CORPUS / "keys/panic").read_bytes()), Key("good", PUBLIC_KEY.encode())
    assert _verifier((panic, good)) is not None
    with pytest.raises(AgentError, match="no public key can be used of bad"):
        _verifier((panic,))
    assert "panicked" in capfd.readouterr().err  # else this test proves nothing


def test_only_panics_become_errors():
    with pytest.raises(KeyboardInterrupt), panics_as_errors():
        raise KeyboardInterrupt


def proxied(*packets: tuple[bytes, list[int]]) -> tuple[Proxy, socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for packet, descriptors in packets:
        socket.send_fds(theirs, [packet], descriptors)
    theirs.shutdown(socket.SHUT_WR)
    return Proxy(ours, 5.0, "registry.example/os"), ours, theirs


@pytest.mark.parametrize("version", ["9" * 5000, "1." + "9" * 20, "²", "1..2", ""])
def test_a_version_that_is_none_is_a_breach_of_the_proxys_protocol(version):
    talk, *ends = proxied((b'{"success": true, "value": "%s"}' % version.encode(), []))
    with pytest.raises(AgentError, match="does not say which protocol it speaks"):
        talk.initialize()
    for end in ends:
        end.close()


def test_a_pipe_nobody_asked_for_is_closed():
    with leaves_nothing():
        talk, ours, theirs = proxied((b'{"success": true, "value": "0.2.8"}', [0]))
        with pytest.raises(AgentError, match="a pipe nobody asked for") as caught:
            talk.initialize()
        assert caught.value.failure.code is Code.WORKER_FAILED
        ours.close()
        theirs.close()


def test_proxies_no_environment_can_hold_are_left_out(tmp_path):
    file = tmp_path / "etc/mco/proxy.env"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"HTTP_PROXY=a\0b\nHTTPS_PROXY=c\n")
    environment = skopeo_for("registry.example/os", str(tmp_path), (), "x86_64", "/s").environment
    assert environment.get("HTTPS_PROXY") == "c"
    assert not any("\0" in value for value in environment.values())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_that_no_message_announces_are_not_gathered():
    signal = encode(Message(Kind.SIGNAL, 3, path="/a", interface="a.b", member="C"))

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        connection = Connection(ours, lambda _message: None)
        connection.start()
        before = open_files()
        with theirs:
            for _ in range(3):
                socket.send_fds(theirs, [signal], [theirs.fileno()] * 100)
            async with asyncio.timeout(5):
                closed = await connection.closed
        assert "300 descriptors that no message announces" in str(closed)
        assert MAX_DESCRIPTORS < 300
        assert open_files() == before - 2

    run(main())


class Logind:
    """A bus on which one user objects to a reboot."""

    async def call(self, *_: object, **__: object) -> list[object]:
        return [[["shutdown", "a\x1b]0;b\x07\n" + "x" * 500, "é\ud800", "block", 1000, 1]]]


def test_the_words_of_whoever_objects_to_a_reboot_cannot_move_a_cursor_or_add_a_line():
    [found] = asyncio.run(blocking_inhibitors(Logind()))
    assert found.who.isprintable()
    assert found.who.startswith("a\\x1b]0;b\\x07\\nxxx")
    assert len(found.who) < 200
    assert found.why == "é\\ud800"


def test_half_a_character_in_an_agents_answer_can_be_shown(tmp_path):
    async def main() -> tuple[Reply, str]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await say(writer, (CORPUS / "control_answers/half_a_character").read_bytes())
            await reader.read()

        async with serving(tmp_path / "s", talk):
            reply = await ask_agent(tmp_path / "s", Verb.RETRY, 5)
            with pytest.raises(AgentError) as caught:
                await anext(follow_agent(tmp_path / "s"))
        return reply, str(caught.value)

    reply, refusal = asyncio.run(main())
    assert reply.text.encode() == b"bus?y"
    assert refusal.encode() == b"the agent does not take it: bus?y"
