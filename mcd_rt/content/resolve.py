"""From the tag of an image to its digest, asked through the worker that fetches: nothing of the image is read."""

import logging
import platform
from collections.abc import Sequence

from mcd_rt.content.allowance import Allowance
from mcd_rt.content.answer import Answer
from mcd_rt.content.conversation import Worker, conversation
from mcd_rt.content.errand import WORKER_ARGV, Question, ask, request_for, secrets_for, within, worker_for
from mcd_rt.content.frames import Extent
from mcd_rt.content.receive import Receiver
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings

_log = logging.getLogger(__name__)

_NO_SCRATCH = "/var/tmp"  # noqa: S108 - nothing is copied for a digest


async def resolve_tag(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    *,
    worker_argv: Sequence[str] = WORKER_ARGV,
    architecture: str = "",
) -> str:
    """The digest (``sha256:...``) that an image named by tag, or by nothing, has now; that of a pinned one is known.

    Where the tag is of an index, that of the image for ``architecture`` (as ``uname -m`` spells it; this machine's
    unless given), which is the one a host records. It costs the manifests and the config, no layer, and writes
    nothing. A trust policy that the proxy does not judge is judged when the image is fetched by this digest. Raises
    ``AgentError``: ``image-not-pinned`` unless ``settings.allow_tags``, and what ``fetch_image`` raises before it
    reads a layer: ``image-*``, ``worker-failed``, ``worker-timeout``.
    """
    if image.digest:
        return image.digest
    if not settings.allow_tags:
        raise not_pinned(image)
    worker = worker_for("fetch", settings, paths, worker_argv)
    question = Question(image, (), architecture or platform.machine(), Extent.IDENTITY, _NO_SCRATCH)
    return await within(settings.fetch_timeout, _digest(effects, settings, paths, worker, question))


def not_pinned(image: ImageReference) -> AgentError:
    """``image-not-pinned``, as a sentence."""
    return AgentError(
        Code.IMAGE_NOT_PINNED,
        f"{image} names no digest, so what it is may change under the same name",
        "write it as name@sha256:..., or set [content] allow_tags = true",
    )


async def _digest(
    effects: Effects, settings: ContentSettings, paths: HostPaths, worker: Worker, question: Question
) -> str:
    request = request_for(question, settings, paths)
    # Of what is asked nothing may be written: the receiver takes no file for it.
    receiver = Receiver(effects, paths.cache, request, Allowance(paths.cache, 0))
    async with conversation(effects, worker, settings.idle_timeout) as talk:
        await ask(talk, request, secrets_for(worker, question.image, request))
        await receiver.announced(Answer(talk, lambda _done, _total: None))
    if receiver.image is None:
        raise AgentError(Code.WORKER_FAILED, f"the worker did not say which image {question.image} is")
    said = receiver.image
    _log.info("%s is %s (asked by way of %s: %s)", question.image, said.digest, said.way, said.why)
    return said.digest
