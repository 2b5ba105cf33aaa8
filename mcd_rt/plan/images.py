"""Which images the config names: the one of the OS, and the one that has the kernel packages."""

from dataclasses import replace

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.desired import Desired
from mcd_rt.model.image import ImageReference
from mcd_rt.model.plan import NeedsDigest, Refused, Waiting
from mcd_rt.plan.situation import Situation


@frozen
class Images:
    """Both pinned; releases before 4.12 have one for both."""

    os: ImageReference
    packages: ImageReference


def named_images(desired: Desired) -> tuple[ImageReference, ...]:
    """The references of a config that can be read, pinned or not."""
    found = []
    for text in (desired.os_image, desired.extensions_image):
        try:
            found.append(ImageReference.parse(text))
        except ValueError:  # ``find_images`` says so, where it matters
            continue
    return tuple(found)


def find_images(situation: Situation) -> Images | NeedsDigest | Waiting | Refused:
    """The images of a config that needs them; or why there are none."""
    desired = situation.desired
    if not desired.os_image:
        reason = f"{desired.name} asks for {desired.kernel_type} but names no osImageURL to take it from"
        return Waiting(Failure(Code.IMAGE_MISSING, reason, "a rendered config has one"))
    os = _pinned(situation, "osImageURL", desired.os_image)
    if not isinstance(os, ImageReference):
        return os
    if not desired.extensions_image:
        return Images(os, os)
    packages = _pinned(situation, "baseOSExtensionsContainerImage", desired.extensions_image)
    return Images(os, packages) if isinstance(packages, ImageReference) else packages


def _pinned(situation: Situation, field: str, text: str) -> ImageReference | NeedsDigest | Refused:
    name = situation.desired.name
    try:
        image = ImageReference.parse(text)
    except ValueError as error:
        return Refused(Failure(Code.CONFIG_INVALID, f"{field} of {name}: {error}", "correct the reference"))
    if image.digest:
        return image
    if not situation.settings.content.allow_tags:
        hint = "name the image as …@sha256:…, or set content.allow_tags"
        return Refused(Failure(Code.IMAGE_NOT_PINNED, f"{field} {text} is not pinned by digest", hint))
    known = next((found.digest for found in situation.record.resolved if found.reference == str(image)), "")
    return replace(image, digest=known) if known else NeedsDigest(image)
