"""Giving memory back: a config of megabytes is read into a few facts, and the rest must not stay.

Python frees what it no longer uses to the allocator, which keeps it for later; an agent that is idle for
weeks has no later. Sources: malloc_trim(3) and mallopt(3), which only glibc has.
"""

import ctypes
from collections.abc import Callable

_M_MMAP_THRESHOLD, _LARGE = -3, 128 * 1024  # its own default, but only until the first large block is freed


def memory_returner() -> Callable[[], None]:
    """What gives unused memory back to the system; does nothing where the C library cannot.

    From now on large blocks, such as a config's text, are always mappings of their own, which go when they are freed.
    """
    library = ctypes.CDLL(None)
    try:
        trim = library.malloc_trim
    except AttributeError:
        return lambda: None
    library.mallopt(_M_MMAP_THRESHOLD, _LARGE)

    def give_back() -> None:
        trim(ctypes.c_size_t(0))

    return give_back
