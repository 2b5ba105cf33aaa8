"""GVariant, written: as far as ostree's objects need it.

Source: "GVariant Specification" 1.0, "Serialisation Format".
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A serialised value: its bytes, its alignment, and whether its type has a fixed size."""

    data: bytes
    alignment: int = 1
    fixed: bool = False


def string(text: str) -> Member:
    """``s``."""
    return Member(text.encode() + b"\0")


def uint32(number: int) -> Member:
    """``u``, in the byte order of ostree's objects: the network's."""
    return Member(number.to_bytes(4, "big"), 4, fixed=True)


def uint64(number: int) -> Member:
    """``t``, likewise."""
    return Member(number.to_bytes(8, "big"), 8, fixed=True)


def octets(data: bytes) -> Member:
    """``ay``."""
    return Member(data)


def variant(kind: str, value: Member) -> Member:
    """``v``: a value and its type."""
    return Member(value.data + b"\0" + kind.encode(), 8)


def pack(*members: Member) -> Member:
    """A tuple that is not of fixed size."""
    body = bytearray()
    ends = []
    for number, member in enumerate(members, 1):
        body += bytes(-len(body) % member.alignment) + member.data
        if not member.fixed and number < len(members):
            ends.append(len(body))
    return Member(_framed(bytes(body), ends[::-1]), max(member.alignment for member in members))


def array(items: Sequence[Member], alignment: int = 1) -> Member:
    """An array of values that are not of fixed size."""
    body = bytearray()
    ends = []
    for item in items:
        body += bytes(-len(body) % alignment) + item.data
        ends.append(len(body))
    return Member(_framed(bytes(body), ends), alignment)


def _framed(body: bytes, offsets: Sequence[int]) -> bytes:
    width = next(width for width in (1, 2, 4, 8) if len(body) + width * len(offsets) < 1 << 8 * width)
    return body + b"".join(offset.to_bytes(width, "little") for offset in offsets)
