"""D-Bus messages as bytes and back; the only file that names dbus-next.

dbus-next is used as a codec and nothing else: its connections hang at 100 % CPU on a peer that closes
during authentication, die on bursts and leak descriptors (``reference/rpm-ostree-dbus.md`` P4), and it
cannot be the server of a peer-to-peer connection at all. ``connection.py`` is one transport for both.
"""

import io
import struct
from dataclasses import field
from enum import Enum
from typing import TypeVar

from mcd_rt import lean
from mcd_rt.frozen import frozen

with lean.package_unrun("dbus_next"):  # which imports its connections, proxies, services and an XML parser
    import dbus_next.errors  # noqa: F401 - first: the others import each other in a circle
    from dbus_next._private.constants import HeaderField as _Field
    from dbus_next._private.unmarshaller import Unmarshaller as _Unmarshaller
    from dbus_next.constants import MessageFlag as _Flag
    from dbus_next.constants import MessageType as _Type
    from dbus_next.message import Message as _Message
    from dbus_next.signature import SignatureTree as _SignatureTree
    from dbus_next.signature import Variant as _Variant

MAX_MESSAGE = 128 * 1024 * 1024
"""Bytes; the D-Bus specification's limit, "Message Format"."""

HEAD = 16
"""Bytes that suffice to know how long a message is."""


T = TypeVar("T", int, str)


@frozen
class Typed:
    """A D-Bus variant: a value and the signature it has on the wire."""

    signature: str
    value: "Value"


Value = bool | int | float | str | bytes | list["Value"] | dict[str, "Value"] | Typed
"""What a message can carry; a struct is a list."""


class Kind(Enum):
    """The four types of message."""

    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


@frozen
class Message:
    """One message; absent header fields are empty strings or 0.

    ``descriptors`` belong to whoever holds the message: a received one's holder closes them.
    """

    kind: Kind
    serial: int = 0
    reply_serial: int = 0
    sender: str = ""
    destination: str = ""
    path: str = ""
    interface: str = ""
    member: str = ""
    error: str = ""
    signature: str = ""
    body: list[Value] = field(default_factory=list)
    descriptors: tuple[int, ...] = ()
    wants_reply: bool = True


class Malformed(ValueError):
    """Bytes that are not a D-Bus message, or a message that cannot be put into bytes."""


def message_length(head: bytes) -> int:
    """How many bytes a message has, from its first ``HEAD`` bytes; raises ``Malformed``."""
    order = {0x6C: "<", 0x42: ">"}.get(head[0])
    if order is None:
        raise Malformed("not a D-Bus message: unknown byte order")
    body, _serial, fields = struct.unpack_from(f"{order}III", head, 4)
    length: int = HEAD + ((fields + 7) & ~7) + body
    if length > MAX_MESSAGE:
        raise Malformed(f"D-Bus message of {length} bytes, the limit is {MAX_MESSAGE}")
    return length


def encode(message: Message) -> bytes:
    """Put a message into bytes; raises ``Malformed`` where body and signature differ."""
    try:
        outgoing = _Message(
            destination=message.destination or None,
            path=message.path or None,
            interface=message.interface or None,
            member=message.member or None,
            message_type=_Type(message.kind.value),
            flags=_Flag.NONE if message.wants_reply else _Flag.NO_REPLY_EXPECTED,
            error_name=message.error or None,
            reply_serial=message.reply_serial or None,
            unix_fds=list(message.descriptors),
            signature=message.signature,
            body=[_to_library(value) for value in message.body],
            serial=message.serial,
        )
        return bytes(outgoing._marshall(negotiate_unix_fd=True))  # noqa: SLF001 - a codec, nothing more
    except Exception as error:  # the library has a bare Exception for a misplaced dictionary entry
        raise Malformed(f"cannot encode {message.interface}.{message.member}: {error}") from error


def decode(data: bytes) -> tuple[Message, int]:
    """Read a whole message; returns it and the number of descriptors its header announces.

    Raises ``Malformed`` for everything a hostile or broken peer can send.
    """
    reader = _Unmarshaller(io.BytesIO(data))
    try:
        received = reader.unmarshall()
        if received is None:
            raise Malformed("short D-Bus message")
        reader.offset = 12
        fields = reader.read_argument(_SignatureTree._get("a(yv)").types[0])  # noqa: SLF001 - a codec, nothing more
        body = [_from_library(value) for value in received.body]
    except Exception as error:  # the library has a bare Exception for a misplaced dictionary entry
        raise Malformed(f"cannot decode a D-Bus message: {error}") from error
    announced = next((value.value for code, value in fields if code == _Field.UNIX_FDS.value), 0)
    message = Message(
        kind=Kind(received.message_type.value),
        serial=received.serial,
        reply_serial=_header(received.reply_serial, 0),
        sender=_header(received.sender, ""),
        destination=received.destination or "",
        path=received.path or "",
        interface=received.interface or "",
        member=received.member or "",
        error=received.error_name or "",
        signature=received.signature,
        body=body,
        wants_reply=not received.flags & _Flag.NO_REPLY_EXPECTED,
    )
    return message, _header(announced, 0)


def plain(value: Value) -> Value:
    """The value without the signatures of the variants in it."""
    match value:
        case Typed():
            return plain(value.value)
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


def _header(value: object, absent: T) -> T:
    """A header field; the library believes whatever type it has on the wire."""
    if value is None:
        return absent
    if type(value) is not type(absent):
        raise Malformed(f"a D-Bus header field is {value!r}")
    return value


def _to_library(value: Value) -> object:
    match value:
        case Typed():
            return _Variant(value.signature, _to_library(value.value))
        case list():
            return [_to_library(item) for item in value]
        case dict():
            return {key: _to_library(item) for key, item in value.items()}
        case _:
            return value


def _from_library(value: object) -> Value:
    match value:
        case _Variant():
            return Typed(value.signature, _from_library(value.value))
        case list():
            return [_from_library(item) for item in value]
        case dict():
            return {str(key): _from_library(item) for key, item in value.items()}
        case bool() | int() | float() | str() | bytes():
            return value
        case _:
            raise Malformed(f"unexpected value of type {type(value).__name__}")
