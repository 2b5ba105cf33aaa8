"""A NEVRA in JSON that somebody else wrote, and what an honest one can look like."""

import re

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.model.nevra import Nevra

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,255}")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]{1,255}")
_ARCHITECTURE = re.compile(r"[a-z0-9_]{1,32}")
_EPOCH = (1 << 32) - 1  # an RPM has 32 bits for it


def checked_nevra(nevra: Nevra) -> Nevra:
    """The same one; raises ``ValueError`` where a part of it is not what an RPM could honestly have."""
    for key, value, pattern in (
        ("name", nevra.name, _NAME),
        ("version", nevra.version, _VERSION),
        ("release", nevra.release, _VERSION),
        ("architecture", nevra.architecture, _ARCHITECTURE),
    ):
        if not pattern.fullmatch(value):
            raise ValueError(f"{key}: {fields.printable(value, 64)!r} is not possible")
    if not 0 <= nevra.epoch <= _EPOCH:
        raise ValueError(f"epoch: {nevra.epoch} is not possible")
    return nevra


def nevra_fields(nevra: Nevra) -> JsonObject:
    """Its parts, by name."""
    return {
        "name": nevra.name,
        "epoch": nevra.epoch,
        "version": nevra.version,
        "release": nevra.release,
        "architecture": nevra.architecture,
    }


def nevra_of(entry: JsonObject) -> Nevra:
    """The NEVRA of an object with these parts, checked; raises ``ValueError``."""
    return checked_nevra(
        Nevra(
            fields.text(entry, "name"),
            fields.integer(entry, "epoch", most=_EPOCH),
            fields.text(entry, "version"),
            fields.text(entry, "release"),
            fields.text(entry, "architecture"),
        )
    )
