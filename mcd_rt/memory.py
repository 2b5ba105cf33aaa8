"""Giving memory back: a config of megabytes is read into a few facts, and the rest must not stay.

Python frees what it no longer uses to the allocator, which keeps it for later; an agent that is idle for
weeks has no later. Source: malloc_trim(3), which only glibc has.
"""

import ctypes
from collections.abc import Callable


def memory_returner() -> Callable[[], None]:
    """What gives unused memory back to the system; does nothing where the C library cannot."""
    library = ctypes.CDLL(None)
    try:
        trim = library.malloc_trim
    except AttributeError:
        return lambda: None

    def give_back() -> None:
        trim(ctypes.c_size_t(0))

    return give_back
