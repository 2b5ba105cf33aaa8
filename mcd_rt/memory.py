"""Giving memory back: a config of megabytes is read into a few facts, and the rest must not stay.

Python frees what it no longer uses to the allocator, which keeps it for later; an agent that is idle for
weeks has no later. Sources: malloc_trim(3) and mallopt(3), which only glibc has; the documentation of ``gc``.
"""

import ctypes
import gc
from collections.abc import Callable

_M_MMAP_THRESHOLD, _LARGE = -3, 128 * 1024  # its own default, but only until the first large block is freed


def memory_returner() -> Callable[[], None]:
    """What gives unused memory back to the system; to the C library's it does nothing where that cannot.

    What is there now, modules for the most part, is there to stay: looking for garbage does not look at it any more.
    From now on large blocks, such as a config's text, are always mappings of their own, which go when they are freed.
    """
    gc.collect()
    gc.freeze()
    library = ctypes.CDLL(None)
    try:
        trim = library.malloc_trim
    except AttributeError:
        return _collect
    library.mallopt(_M_MMAP_THRESHOLD, _LARGE)

    def give_back() -> None:
        _collect()
        trim(ctypes.c_size_t(0))

    return give_back


def _collect() -> None:
    """Also what is kept for later of lists and mappings that are gone: a few of them hold a whole megabyte each."""
    gc.collect()
