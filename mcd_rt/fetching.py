"""What is fetched because a plan asks for it: packages, what OS an image is, what a tag means, a repository."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, assert_never

from mcd_rt.content.cache import prune
from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.osentry import has_repository
from mcd_rt.content.osimage import fetch_os
from mcd_rt.content.resolve import resolve_tag
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.content import Reading, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.plan import Needs, NeedsBase, NeedsContent, NeedsDigest, NeedsOs
from mcd_rt.model.record import Record, Resolved
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.images import named_images
from mcd_rt.plan.situation import Situation
from mcd_rt.record import save_record
from mcd_rt.supply import digests_in_use, offer_of, recall

T = TypeVar("T")


async def fetch_needed(context: Context, situation: Situation, need: Needs) -> Situation:
    """The situation with what a plan asked for; raises ``AgentError`` as the fetches do."""
    match need:
        case NeedsBase(checksum):
            raise AgentError(Code.INTERNAL_ERROR, f"the packages of a base on the node are not fetched: {checksum}")
        case NeedsContent(image):
            what = f"the kernel packages of {image}"
            return replace(situation, content=await _fetched(context, situation, need, what, fetch_content))
        case NeedsOs(image, names):
            if await recall(context, situation, NeedsContent(image, names)) is not None:
                need = NeedsOs(image, ())  # the packages are on the node already
            what = f"what OS {image} is, and what is needed of it"
            brought = await _fetched(context, situation, need, what, fetch_os)
            known = replace(situation, offer=offer_of(context.paths, image, brought.os))
            return known if brought.content is None else replace(known, content=brought.content)
        case NeedsDigest(image):
            context.reporter.enter(State.FETCHING, f"which image {image} is")
            architecture = situation.host.architecture
            settings = context.settings.content
            digest = await resolve_tag(context.effects, settings, context.paths, image, architecture=architecture)
            return replace(situation, record=_resolved(context, situation, image, digest))
        case _:
            assert_never(need)


async def provide_repository(context: Context, situation: Situation, image: ImageReference) -> None:
    """Have the ostree repository of an image on the node, where what came with its OS is gone.

    Raises ``AgentError`` as a fetch does.
    """
    if not has_repository(context.paths, image.digest):
        what = f"the ostree repository of {image}"
        await _fetched(context, situation, NeedsOs(image, ()), what, fetch_os)


class _Progress:
    """Bytes of a fetch, for the status; ``done`` is how many there were at last, ``way`` how they came."""

    def __init__(self, context: Context) -> None:
        self.done = 0
        self.way: Way | None = None
        self._context = context

    def show(self, done: int, total: int) -> None:
        """Take both, in bytes."""
        self.done = done
        self._context.reporter.show_progress(f"{done} of {total} bytes", done * 100 // total if total else -1)

    def take(self, reading: Reading) -> None:
        """How the image is read."""
        self.way = reading.way


@contextmanager
def _counted(context: Context) -> Iterator[_Progress]:
    """Count what is fetched in the block, by the way it took, whether it came or not."""
    began, progress, ok = context.effects.monotonic(), _Progress(context), False
    try:
        yield progress
        ok = True
    finally:
        seconds = context.effects.monotonic() - began
        context.reporter.metrics.count_fetch(progress.way, progress.done, seconds, ok=ok)


async def _fetched(
    context: Context, situation: Situation, need: NeedsContent | NeedsOs, what: str, fetch: Callable[..., Awaitable[T]]
) -> T:
    """What ``fetch`` brings of an image, told and counted; ``fetch`` is ``fetch_content`` or takes the same."""
    context.reporter.enter(State.FETCHING, what)
    prune(context.effects, context.paths, digests_in_use(situation))
    with _counted(context) as progress:
        return await fetch(
            context.effects,
            context.settings.content,
            context.paths,
            need.image,
            need.names,
            progress.show,
            architecture=situation.host.architecture,
            on_reading=progress.take,
        )


def _resolved(context: Context, situation: Situation, image: ImageReference, digest: str) -> Record:
    """The record with what a tag meant, without those that no config names any more."""
    named = {str(reference) for reference in named_images(situation.desired)}
    kept = tuple(found for found in situation.record.resolved if found.reference in named)
    record = replace(situation.record, resolved=(*kept, Resolved(str(image), digest)))
    save_record(context.effects, context.paths, record)
    context.reporter.show_record(record)
    return record
