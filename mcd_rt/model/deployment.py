"""What the node has: its deployments, as rpm-ostree reports them."""

from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra


@frozen
class Deployment:
    """One ostree deployment (``reference/rpm-ostree-dbus.md`` 1, "Deployment").

    ``base_checksum`` equals ``checksum`` where nothing is layered. ``image_digest`` is the
    ``sha256:...`` of the image the base came from, as it was asked for, in whichever form it is recorded
    (container reference or ``pivot://`` origin); empty when it is not known. ``other_digests`` are what else the
    same image is known by: asked for by the digest of an index, it has one of its own besides. ``kernel_release``
    is the ``ostree.linux`` of the commit, empty on versions that do not record it.
    """

    id: str
    checksum: str
    base_checksum: str
    version: str
    image_digest: str
    booted: bool
    staged: bool
    locked: bool
    pinned: bool
    requested: tuple[str, ...]
    local: tuple[Nevra, ...]
    removals: tuple[str, ...]
    replacements: tuple[str, ...]
    kernel_release: str
    other_digests: tuple[str, ...] = ()

    @property
    def image_digests(self) -> tuple[str, ...]:
        """Every digest the image of the base is known by; none where it is not known."""
        return tuple(filter(None, (self.image_digest, *self.other_digests)))

    def stands_on(self, base: str) -> bool:
        """Whether that is its base, by any of the names it has."""
        return base in (self.image_digests or (self.base_checksum,))

    @property
    def base(self) -> str:
        """Which base it is: the digest of the image it came from, or its commit where that is not known.

        A container image gets the checksum of its commit only when it is pulled, so that a change to another base
        can name it before by its digest alone.
        """
        return self.image_digest or self.base_checksum


@frozen
class Deployments:
    """All of them in boot order; the first is what a new transaction starts from.

    ``kernel_arguments`` are those of the first, in their order.
    """

    all: tuple[Deployment, ...]
    kernel_arguments: tuple[str, ...] = ()

    @property
    def merge(self) -> Deployment:
        """The merge deployment: what a new transaction starts from."""
        return self.all[0]

    @property
    def booted(self) -> Deployment | None:
        """The one that runs; ``None`` only where rpm-ostree runs outside a booted system."""
        return next((deployment for deployment in self.all if deployment.booted), None)

    @property
    def staged(self) -> Deployment | None:
        """The one that would run after the next boot, not written to the boot loader yet."""
        return next((deployment for deployment in self.all if deployment.staged), None)
