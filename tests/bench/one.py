"""One fetch as a running agent does it: prints its seconds, and those of processors.

``python -m tests.bench.one [--os] ROOT IMAGE NAME...`` imports what the agent has imported anyway, and nothing of the
tests. ``--os``: as with ``os.manage = "image"``, which OS it is and its repository as well.
"""

import asyncio
import resource
import sys
import time
from pathlib import Path

from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.osimage import fetch_os
from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings


async def fetch(root: Path, image: ImageReference, names: tuple[str, ...], *, os: bool) -> tuple[float, float]:
    settings, effects, paths = ContentSettings(), HostEffects(), HostPaths(root)
    started, used = time.perf_counter(), processor()
    if os:
        await fetch_os(effects, settings, paths, image, names, architecture="x86_64")
    else:
        await fetch_content(effects, settings, paths, image, names, lambda *_: None, architecture="x86_64")
    return time.perf_counter() - started, processor() - used


def processor() -> float:
    """Seconds, of this process and those it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--os"]
    asked = fetch(Path(words[0]), ImageReference.parse(words[1]), tuple(words[2:]), os="--os" in sys.argv)
    print(*asyncio.run(asked))
