"""GVariant as far as an ostree commit needs it: tuples, arrays, variants and strings, from bytes nobody vouched for.

Our own, because the well-kept reader is GLib's, which hosts have without bindings for Python. It takes only the normal
form, which is the only one libostree writes: every offset must follow the one before and lie inside its container. It
never looks into a value on its own: who knows the type asks for the next step, so nesting has no end to run into.
Source: "GVariant Specification" 1.0, "Serialisation Format".
"""

from collections.abc import Iterator, Sequence

from mcd_rt.frozen import frozen


@frozen
class Shape:
    """A member of a tuple: its alignment, and its size in bytes where that is fixed, else 0."""

    alignment: int
    size: int = 0


STRING = Shape(1)
BYTES = Shape(1)
VARIANT = Shape(8)
UINT64 = Shape(8, 8)


def members_of(data: bytes, shapes: Sequence[Shape]) -> tuple[bytes, ...]:
    """The members of a tuple, as bytes; raises ``ValueError`` where they are not where they must be."""
    width = _offset_width(len(data))
    framed = sum(1 for shape in shapes[:-1] if not shape.size)
    limit = len(data) - framed * width
    parts = []
    position = taken = 0
    for number, shape in enumerate(shapes):
        start = position + -position % shape.alignment
        if shape.size:
            stop = start + shape.size
        elif number == len(shapes) - 1:
            stop = limit
        else:
            taken += 1
            stop = _number(data, len(data) - taken * width, width)
        if not start <= stop <= limit:
            raise ValueError("a member of a tuple lies outside of it")
        parts.append(data[start:stop])
        position = stop
    return tuple(parts)


def items_of(data: bytes, alignment: int, most: int) -> Iterator[bytes]:
    """The items of an array of values without a fixed size; raises ``ValueError``, also for more than ``most``."""
    if not data:
        return
    width = _offset_width(len(data))
    table = _number(data, len(data) - width, width)
    count, rest = divmod(len(data) - table, width)
    if not 0 <= table <= len(data) - width or rest:
        raise ValueError("the end of an array is not where it says")
    if count > most:
        raise ValueError(f"an array has {count} items, more than {most}")
    position = 0
    for number in range(count):
        start = position + -position % alignment
        stop = _number(data, table + number * width, width)
        if not start <= stop <= table:
            raise ValueError("an item of an array lies outside of it")
        yield data[start:stop]
        position = stop


def variant_of(data: bytes) -> tuple[str, bytes]:
    """The type of a variant, as its type string, and its value; raises ``ValueError``."""
    value, separator, kind = data.rpartition(b"\0")
    if not separator or not kind.isascii():
        raise ValueError("a variant does not say its type")
    return kind.decode(), value


def string_of(data: bytes) -> str:
    """A string; raises ``ValueError``."""
    text, end, rest = data.partition(b"\0")
    if not end or rest:
        raise ValueError("a string does not end where it should")
    return text.decode()


def _offset_width(size: int) -> int:
    return next(width for width in (1, 2, 4, 8) if size < 1 << 8 * width)


def _number(data: bytes, start: int, width: int) -> int:
    if start < 0:
        raise ValueError("a container is smaller than its offsets")
    return int.from_bytes(data[start : start + width], "little")
