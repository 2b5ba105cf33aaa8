"""What is known of a package from its header, as JSON in a frame, and what an honest one can say."""

import re

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.content.nevras import checked_nevra, nevra_fields, nevra_of
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Judge
from mcd_rt.model.nevra import Nevra

CAPABILITIES = 96  # of 256 characters fit twice in a line

_KERNEL_RELEASE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+~^-]{0,255})?")
_CAPABILITY = re.compile(r"[ !#-\[\]-~]{1,256}")  # no quotes and backslashes, which JSON would make longer


@frozen
class PackageFrame:
    """What the header of an RPM says, its digests checked; see ``model.content.Package``.

    ``judge`` is who found its signature right.
    """

    nevra: Nevra
    kernel_release: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    judge: Judge = Judge.NOBODY


def checked_package(package: PackageFrame) -> PackageFrame:
    """The same frame; raises ``ValueError`` where a value is not what an RPM could honestly have."""
    checked_nevra(package.nevra)
    if not _KERNEL_RELEASE.fullmatch(package.kernel_release):
        raise ValueError(f"kernel_release: {fields.printable(package.kernel_release, 64)!r} is not possible")
    for key, capabilities in (("provides", package.provides), ("requires", package.requires)):
        if len(capabilities) > CAPABILITIES:
            raise ValueError(f"{key}: {len(capabilities)} capabilities of kernels are more than {CAPABILITIES}")
        if not all(_CAPABILITY.fullmatch(capability) for capability in capabilities):
            raise ValueError(f"{key}: a capability is not a short printable text")
    return package


def package_fields(package: PackageFrame) -> JsonObject:
    """Its parts, by name."""
    return nevra_fields(package.nevra) | {
        "kernel_release": package.kernel_release,
        "provides": list(package.provides),
        "requires": list(package.requires),
        "judge": package.judge,
    }


def package_of(entry: JsonObject) -> PackageFrame:
    """The package of an object with these parts, checked; raises ``ValueError``."""
    nevra = nevra_of(entry)
    provides, requires = (fields.texts(entry, key, most=CAPABILITIES) for key in ("provides", "requires"))
    judge = Judge(fields.text(entry, "judge"))
    return checked_package(PackageFrame(nevra, fields.text(entry, "kernel_release"), provides, requires, judge))
