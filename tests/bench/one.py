"""One fetch as a running agent does it: prints its seconds, and those of processors.

``python -m tests.bench.one ROOT IMAGE NAME...`` imports what the agent has imported anyway, and nothing of the tests.
"""

import asyncio
import resource
import sys
import time
from pathlib import Path

from mcd_rt.content.fetch import fetch_content
from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings


async def fetch(root: Path, image: ImageReference, names: tuple[str, ...]) -> tuple[float, float]:
    settings = ContentSettings()
    started, used = time.perf_counter(), _processor()
    await fetch_content(HostEffects(), settings, HostPaths(root), image, names, lambda *_: None, architecture="x86_64")
    return time.perf_counter() - started, _processor() - used


def _processor() -> float:
    """Of this process and those it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    print(*asyncio.run(fetch(Path(sys.argv[1]), ImageReference.parse(sys.argv[2]), tuple(sys.argv[3:]))))
