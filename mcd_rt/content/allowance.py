"""How much may still be written to the cache: what its limit leaves, and what is free on the disk."""

from pathlib import Path

from mcd_rt.content import cache
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import ContentSettings


class Allowance:
    """Counts bytes before they are written: nothing is begun that has no room."""

    def __init__(self, place: Path, most: int) -> None:
        """At most so many bytes, in the directory of the cache."""
        self._place = place
        self.left = most

    def check_disk(self, size: int, what: str) -> None:
        """Whether so many bytes are free, once the directory is there.

        ``what`` has them, for people. Raises ``AgentError`` (``cache-full``, ``write-failed``).
        """
        with cache.writing(self._place):
            free = cache.free_bytes(self._place)
        if size > free:
            raise _full(f"{self._place} has {free} bytes free, {what} has {size}", "make room")

    def take(self, size: int, what: str) -> None:
        """So many bytes are to be written; raises as ``check_disk``."""
        self.check_disk(size, what)
        if size > self.left:
            raise _full(
                f"the cache may have {self.left} more bytes, {what} has {size}", "raise [content] max_cache_bytes"
            )
        self.left -= size


def allowance_of(settings: ContentSettings, paths: HostPaths) -> Allowance:
    """What the settings leave; raises ``AgentError`` (``write-failed``)."""
    return Allowance(paths.cache, max(0, settings.max_cache_bytes - cache.used_bytes(paths)))


def _full(what: str, hint: str) -> AgentError:
    return AgentError(Code.CACHE_FULL, what, f"{hint}; nothing was changed")
