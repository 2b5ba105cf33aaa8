"""What is known of the OS of an image, as JSON: in a frame, and in the cache."""

import re

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.content.nevras import nevra_fields, nevra_of
from mcd_rt.model.osimage import OsForm, OsImage

MAX_PACKAGES = 48  # of the longest names fit in a line of the protocol

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_KERNEL_RELEASE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+~^-]{0,255})?")
_ARCHITECTURE = re.compile(r"[a-z0-9_]{1,32}")


def checked_os(found: OsImage) -> OsImage:
    """The same one; raises ``ValueError`` where a value is not what an OS could honestly have."""
    for key, value, pattern in (
        ("digest", found.digest, _DIGEST),
        ("commit", found.commit, _CHECKSUM),
        ("kernel_release", found.kernel_release, _KERNEL_RELEASE),
        ("architecture", found.architecture, _ARCHITECTURE),
    ):
        if not pattern.fullmatch(value):
            raise ValueError(f"{key}: {fields.printable(value, 80)!r} is not possible")
    if len(found.packages) > MAX_PACKAGES:
        raise ValueError(f"packages: {len(found.packages)} of kernels are more than {MAX_PACKAGES}")
    return found


def os_fields(found: OsImage) -> JsonObject:
    """Its parts, by name."""
    return {
        "digest": found.digest,
        "form": found.form,
        "commit": found.commit,
        "version": fields.printable(found.version, 256),
        "kernel_release": found.kernel_release,
        "architecture": found.architecture,
        "packages": [nevra_fields(nevra) for nevra in found.packages],
    }


def os_of(entry: JsonObject) -> OsImage:
    """The OS of an object with these parts, checked; raises ``ValueError``."""
    packages = tuple(nevra_of(package) for package in fields.mappings(entry, "packages", most=MAX_PACKAGES))
    return checked_os(
        OsImage(
            fields.text(entry, "digest"),
            OsForm(fields.text(entry, "form")),
            fields.text(entry, "commit"),
            fields.text(entry, "version"),
            fields.text(entry, "kernel_release"),
            fields.text(entry, "architecture"),
            packages,
        )
    )
