"""What was found in an image."""

from enum import StrEnum, unique

from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra


@unique
class Way(StrEnum):
    """How an image was read."""

    LAYOUT = "layout"
    PROXY = "proxy"
    COPY = "copy"


@frozen
class Reading:
    """How an image is read, and why in this way, for people."""

    way: Way
    why: str


@unique
class Judge(StrEnum):
    """Who found the signatures of packages right."""

    RPMKEYS = "rpmkeys"
    RPM_RS = "rpm-rs"
    NOBODY = "nobody"


@frozen
class Package:
    """One RPM of an image, from its header, digests checked.

    ``file`` is its name in the cache of the image, ``sha256`` and ``size`` (bytes) those of the whole
    file. ``kernel_release`` is the ``<kver>`` of ``/lib/modules/<kver>`` it ships, which is what
    ``uname -r`` says once it runs; empty for packages without one. ``provides`` and ``requires`` are
    the capability names that concern kernels.
    """

    nevra: Nevra
    file: str
    size: int
    sha256: str
    kernel_release: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]


@frozen
class Content:
    """The kernel packages of the image with this digest (``sha256:...``).

    ``trusted_by`` is who judged their signatures; ``nobody`` under ``content.trust = "digest-only"``, and where
    there is no package. ``way`` is how the image was read, with ``way_reason`` for people.
    """

    digest: str
    packages: tuple[Package, ...]
    trusted_by: Judge = Judge.NOBODY
    way: Way = Way.LAYOUT
    way_reason: str = ""
