"""The operating system in an image, as far as it must be known before a transaction."""

from enum import StrEnum, unique

from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra


@unique
class OsForm(StrEnum):
    """How an image carries its OS.

    ``container``: the image is the OS (4.12 and later); rpm-ostree pulls it itself. ``repository``: an ostree
    repository in ``/srv/repo`` (machine-os-content, until 4.11), of which rpm-ostree is handed a directory.
    """

    CONTAINER = "container"
    REPOSITORY = "repository"


@frozen
class OsImage:
    """The OS of the image with this digest (``sha256:...``).

    ``commit`` is the checksum of its ostree commit. ``kernel_release`` is what the commit's ``ostree.linux`` says,
    empty where it says nothing; ``architecture`` is spelled as ``uname -m`` does. ``packages`` are those of the base
    whose name begins with ``kernel``, sorted.
    """

    digest: str
    form: OsForm
    commit: str
    version: str
    kernel_release: str
    architecture: str
    packages: tuple[Nevra, ...]
