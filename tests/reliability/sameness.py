"""When two worlds are the same: a digest of everything in them, wherever they lie."""

import hashlib
from collections.abc import Iterable, Sequence


def digest(parts: Iterable[object], places: Sequence[str]) -> str:
    """Equal for equal parts only (values that are told by their ``repr``, or bytes), in any process.

    Directories, which have another name in each bench, count as equal: the first of ``places`` for the first there.
    """
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        for number, place in enumerate(places):
            data = data.replace(place.encode(), b"<place %d>" % number)
        found.update(b"%d:" % len(data) + data)
    return found.hexdigest()
