"""D-Bus messages become bytes and back; what is not a message is ``Malformed`` and nothing else."""

import re
import struct

import pytest

from mcd_rt.dbus.wire import HEAD, MAX_MESSAGE, Kind, Malformed, Message, Typed, decode, encode, message_length, plain

SIGNAL = Message(Kind.SIGNAL, serial=7, path="/a", interface="a.b", member="C", signature="s", body=["x"])
MESSAGES = {
    "call": Message(
        Kind.CALL,
        serial=1,
        destination="a.b",
        path="/",
        interface="a.b",
        member="C",
        signature="a{sv}ah",
        body=[{"n": Typed("as", ["x", "y"]), "o": Typed("v", Typed("(sb)", ["z", True]))}, [0, 1]],
    ),
    "call without interface or answer": Message(Kind.CALL, serial=1, path="/a", member="C", wants_reply=False),
    "return": Message(Kind.RETURN, serial=2, reply_serial=1, destination=":1.2", signature="ay", body=[b"\0\xff"]),
    "error": Message(Kind.ERROR, serial=3, reply_serial=1, error="a.b.E", signature="s", body=["why"]),
    "signal": SIGNAL,
    "empty containers": Message(
        Kind.RETURN, serial=1, reply_serial=1, signature="asa{sv}ayaay", body=[[], {}, b"", [b""]]
    ),
    "numbers": Message(
        Kind.RETURN,
        serial=1,
        reply_serial=2**32 - 1,
        signature="ynqiuxtdb",
        body=[255, -(2**15), 2**16 - 1, -(2**31), 2**32 - 1, -(2**63), 2**64 - 1, 0.5, False],
    ),
}


def header(fields: str, body: bytes = b"", kind: int = 4) -> bytes:
    """A little-endian message from the hex of its array of header fields."""
    data = bytes.fromhex(fields)
    return struct.pack("<BBBBIII", 0x6C, kind, 0, 1, len(body), 1, len(data)) + data + bytes(-len(data) % 8) + body


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_survives_the_wire(name):
    data = encode(MESSAGES[name])
    assert message_length(data[:HEAD]) == len(data)
    assert decode(data) == (MESSAGES[name], 0)


def test_descriptors_are_announced_in_the_header():
    message, announced = decode(
        encode(Message(Kind.RETURN, serial=1, reply_serial=1, descriptors=(5, 6, 7), signature="ah", body=[[0, 1, 2]]))
    )
    assert announced == 3
    assert message.descriptors == ()


def test_the_other_byte_order_is_understood():
    fields = b"\x01\x01o\0" + struct.pack(">I", 2) + b"/a\0" + bytes(5)
    fields += b"\x02\x01s\0" + struct.pack(">I", 3) + b"a.b\0" + bytes(4)
    fields += b"\x03\x01s\0" + struct.pack(">I", 1) + b"C\0" + bytes(6)
    fields += b"\x09\x01u\0" + struct.pack(">I", 2)
    fields += b"\x08\x01g\0\x01u\0"
    body = struct.pack(">I", 0x01020304)
    data = struct.pack(">BBBBIII", 0x42, 4, 0, 1, len(body), 9, len(fields)) + fields + bytes(-len(fields) % 8) + body
    assert message_length(data[:HEAD]) == len(data)
    message, announced = decode(data)
    assert (message.path, message.interface, message.member, message.serial) == ("/a", "a.b", "C", 9)
    assert (message.signature, message.body, announced) == ("u", [0x01020304], 2)


PATH = "01 01 6f 00 02 00 00 00 2f 61 00" + "00" * 5
INTERFACE = "02 01 73 00 03 00 00 00 61 2e 62 00" + "00" * 4
MEMBER = "03 01 73 00 01 00 00 00 43 00" + "00" * 6
NAMED = PATH + INTERFACE + MEMBER
MALFORMED = {
    "nothing": b"",
    "another byte order": b"x" + encode(SIGNAL)[1:],
    "another protocol version": encode(SIGNAL)[:3] + b"\x02" + encode(SIGNAL)[4:],
    "an unknown type": encode(SIGNAL)[:1] + b"\x09" + encode(SIGNAL)[2:],
    "a signal without a path": header(INTERFACE + MEMBER),
    "an unknown header field": header(NAMED + "0a 01 73 00 01 00 00 00 43 00"),
    "a sender that is a number": header(NAMED + "07 01 75 00 05 00 00 00"),
    "a count of descriptors that is a text": header(NAMED + "09 01 73 00 01 00 00 00 31 00"),
    "a count of descriptors that is a truth": header(NAMED + "09 01 62 00 01 00 00 00"),
    "a path that is a number": header("01 01 75 00 05 00 00 00" + INTERFACE + MEMBER),
    "an answer to a text": header("05 01 73 00 01 00 00 00 31 00", kind=2),
    "an answer to a list": header("05 02 61 79 00 00 00 00 01 00 00 00 31", kind=2),
    "a signature that is a number": header(NAMED + "08 01 75 00 05 00 00 00", b"\0\0\0\0"),
    "a signature that is none": header(NAMED + "08 01 67 00 01 21 00", b"\0\0\0\0"),
    "a dictionary entry outside of an array": header(
        NAMED + "08 01 67 00 04 7b 73 76 7d 00", b"\1\0\0\0a\0\1y\0\0\0\0\0\0"
    ),
    "a variant of a dictionary entry": header(
        NAMED + "08 01 67 00 01 76 00", b"\x04{ss}\0\0\0\1\0\0\0a\0\0\0\1\0\0\0b\0"
    ),
    "a variant of nothing": header(NAMED + "08 01 67 00 01 76 00", b"\0\0\0\0"),
    "a variant of two": header(NAMED + "08 01 67 00 01 76 00", b"\2yy\0\1\2"),
    "a text that is not UTF-8": header(NAMED + "08 01 67 00 01 73 00", b"\1\0\0\0\xff\0"),
    "a text that is longer than the message": header(NAMED + "08 01 67 00 01 73 00", b"\xff\0\0\0a\0"),
    "an array that is longer than the message": header(NAMED + "08 01 67 00 02 61 73 00", b"\xff\0\0\0\1\0\0\0a\0"),
    "variants without end": header(NAMED + "08 01 67 00 01 76 00", b"\1v\0" * 20_000),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_a_message_is_malformed(name):
    with pytest.raises(Malformed):
        decode(MALFORMED[name])


def test_what_is_not_quite_malformed_is_understood():
    assert decode(header(NAMED + "07 01 73 00 04 00 00 00 3a 31 2e 32 00"))[0].sender == ":1.2"
    flagged = bytearray(encode(SIGNAL))
    flagged[2] = 0x40  # an unknown flag must be ignored: D-Bus specification, "Message Format"
    assert decode(bytes(flagged))[0] == SIGNAL


@pytest.mark.parametrize("size", range(len(encode(SIGNAL))))
def test_a_message_that_is_cut_off_is_malformed(size):
    with pytest.raises(Malformed):
        decode(encode(SIGNAL)[:size])


def test_lengths_are_known_from_the_head_and_bounded():
    with pytest.raises(Malformed, match="byte order"):
        message_length(b"GET / HTTP/1.1\r\n")
    at_most = struct.pack("<BBBBIII", 0x6C, 4, 0, 1, MAX_MESSAGE - HEAD, 1, 0)
    assert message_length(at_most) == MAX_MESSAGE
    with pytest.raises(Malformed, match=re.escape(f"the limit is {MAX_MESSAGE}")):
        message_length(struct.pack("<BBBBIII", 0x6C, 4, 0, 1, MAX_MESSAGE - HEAD, 1, 1))


UNFIT = {
    "a number for a text": ("s", [5]),
    "too few": ("ss", ["x"]),
    "no signature": ("", ["x"]),
    "a signature that is none": ("!", ["x"]),
    "a variant that is none": ("v", ["x"]),
    "a variant of the wrong type": ("v", [Typed("as", "x")]),
    "a variant of two": ("v", [Typed("ss", "x")]),
    "a variant of a dictionary entry": ("v", [Typed("{sv}", "x")]),
    "a path that is none": ("o", ["not a path"]),
    "a number out of range": ("u", [2**32]),
    "half a character": ("s", ["\ud800"]),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_put_into_bytes_is_malformed(name):
    signature, body = UNFIT[name]
    with pytest.raises(Malformed, match=re.escape("a.b.C")):
        encode(Message(Kind.CALL, serial=1, path="/", interface="a.b", member="C", signature=signature, body=body))


def test_a_message_without_what_its_kind_needs_is_malformed():
    with pytest.raises(Malformed):
        encode(Message(Kind.SIGNAL, serial=1, interface="a.b", member="C"))
    with pytest.raises(Malformed):
        encode(Message(Kind.ERROR, serial=1, reply_serial=1, error="not an error name"))


def test_plain_has_no_signatures():
    value = Typed("a{sv}", {"a": Typed("av", [Typed("s", "x"), Typed("(sv)", ["y", Typed("u", 1)])]), "b": b"z"})
    assert plain(value) == {"a": ["x", ["y", 1]], "b": b"z"}
    assert plain(["x", 1.5, True]) == ["x", 1.5, True]
