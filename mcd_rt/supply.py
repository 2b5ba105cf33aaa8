"""What a plan asks for, and where it is had: the host's own commands, the cache, and at last the image itself."""

from dataclasses import replace
from typing import assert_never

from mcd_rt.content.cache import load
from mcd_rt.content.osentry import load_os_image
from mcd_rt.content.policy import accepts_anything
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.osimage import OsImage
from mcd_rt.model.plan import Needs, NeedsBase, NeedsContent, NeedsDigest, NeedsOs
from mcd_rt.model.record import Record, Turn
from mcd_rt.observation import Context
from mcd_rt.observed.base import list_kernel_packages
from mcd_rt.plan.images import named_images
from mcd_rt.plan.situation import Base, OsOffer, Situation
from mcd_rt.record import save_record


async def recall(context: Context, situation: Situation, need: Needs) -> Situation | None:
    """The situation with what a plan asked for, as far as that is on the node; ``None`` where it is not."""
    match need:
        case NeedsBase(checksum):
            if context.seen.base[0] != checksum:
                packages = await list_kernel_packages(context.effects, context.paths, checksum)
                context.seen.base = (checksum, packages)
            return replace(situation, base=Base(*context.seen.base))
        case NeedsContent(image, names):
            settings = context.settings.content
            content = load(context.paths, image.digest, names, settings.trust, settings.keys)
            return None if content is None else replace(situation, content=content)
        case NeedsOs(image):
            os = load_os_image(context.paths, image.digest)
            return None if os is None else replace(situation, offer=offer_of(context.paths, image, os))
        case NeedsDigest():
            return None
        case _:
            assert_never(need)


async def provide(context: Context, situation: Situation, need: Needs) -> Situation | None:
    """As ``recall``; what is not on the node is fetched, or ``None`` where it is not this node's turn yet.

    Raises ``AgentError`` as the fetches do.
    """
    known = await recall(context, situation, need)
    if known is None and context.settings.content.splay and turn_of(context, situation.record, need) is not None:
        return None
    if isinstance(need, NeedsContent):
        context.reporter.metrics.count_cache_lookup(hit=known is not None)
    if known is None:
        from mcd_rt.fetching import fetch_needed  # noqa: PLC0415 - an idle agent never needs what fetches

        known = await fetch_needed(context, situation, need)
    if known.content is not None and known.content is not situation.content:
        context.reporter.metrics.show_content(known.content)
        context.reporter.show_trust(known.content)
    return known


def turn_of(context: Context, record: Record, need: Needs) -> Turn | None:
    """When this node may fetch what a plan asks for, if that is not now; drawn once, and remembered.

    Raises ``AgentError`` (``write-failed``).
    """
    if isinstance(need, NeedsBase):
        return None
    now, image, splay = context.effects.now(), str(need.image), context.settings.content.splay
    turn = record.turn
    if turn is None or turn.image != image or turn.at > now + splay:  # or the clock, or the setting, has changed
        from mcd_rt.reboot.splay import due_fetch  # noqa: PLC0415 - an idle agent fetches nothing

        turn = Turn(image, due_fetch(splay, now, context.effects.chance()))
        save_record(context.effects, context.paths, replace(record, turn=turn))
    return turn if turn.at > now else None


def digests_in_use(situation: Situation) -> frozenset[str]:
    """The images whose packages may be needed: what is there, and what is wanted."""
    known = {found.reference: found.digest for found in situation.record.resolved}
    digests = {image.digest or known.get(str(image), "") for image in named_images(situation.desired)}
    digests |= {digest for deployment in situation.deployments.all for digest in deployment.image_digests}
    attempts = (situation.record.attempt, situation.record.verified)
    digests |= {found.target.image_digest for found in attempts if found is not None}
    return frozenset(filter(None, digests))


def offer_of(paths: HostPaths, image: ImageReference, os: OsImage) -> OsOffer:
    """The OS of an image, and whether the host's policy demands something of images from there."""
    policy = paths.below("/etc/containers/policy.json")
    try:
        anything = accepts_anything(policy.read_bytes(), image)
    except (OSError, ValueError):  # whoever pulls judges by it, and says what is wrong with it
        anything = True
    return OsOffer(os, signed=not anything)
