"""What a kernel will stand on: the base that is there, or another one brought in the same transaction."""

from typing import assert_never

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.deployment import Deployment
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import flavor_of, flavor_owning
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.plan import NeedsDigest, NeedsOs, Rebase, Refused, Waiting
from mcd_rt.plan.images import Images, find_images
from mcd_rt.plan.layering import is_swapped, overridden_kernels
from mcd_rt.plan.situation import OsOffer, Situation

_DESCRIPTION = "Managed by mcd-rt"


@frozen
class Ground:
    """A base (``Deployment.base``), its kernel packages (``None``: not known yet), and how it comes.

    ``kernel_release`` is that of its own kernel; empty where it is not known.
    """

    base: str
    packages: tuple[Nevra, ...] | None
    kernel_release: str
    rebase: Rebase | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of its kernel packages; none while they are not known."""
        return frozenset(package.name for package in self.packages or ())

    @property
    def flavored(self) -> tuple[Nevra, ...]:
        """Packages of another kernel type that it brings itself."""
        return tuple(sorted(package for package in self.packages or () if flavor_owning(package.name) is not None))


def find_ground(situation: Situation) -> Ground | NeedsDigest | NeedsOs | Waiting | Refused:
    """The base to plan on: another one only where the OS is ours to update and not the config's already."""
    merge = situation.deployments.merge
    if situation.settings.os.manage != "image" or _is_left_to_neighbour(situation) or not situation.desired.os_image:
        return stay(situation)
    images = find_images(situation)
    if not isinstance(images, Images):
        return images
    if images.os.digest in merge.image_digests:
        return stay(situation)
    offer = situation.offer
    if offer is None or offer.image.digest != images.os.digest:
        return NeedsOs(images.os, _needed_of(situation, images))
    return _rebased(situation, images.os, offer)


def _needed_of(situation: Situation, images: Images) -> tuple[str, ...]:
    """The names of packages that the image of the OS is asked for as well."""
    flavor = flavor_of(situation.desired.kernel_type)
    return flavor.names if flavor is not None and images.packages.digest == images.os.digest else ()


def stay(situation: Situation) -> Ground:
    """The base of the merge deployment."""
    merge, known = situation.deployments.merge, situation.base
    packages = known.packages if known is not None and known.checksum == merge.base_checksum else None
    return Ground(merge.base, packages, _plain_kernel_release(situation, merge))


def _is_left_to_neighbour(situation: Situation) -> bool:
    """A machine-config-daemon rebases to the same image itself."""
    return situation.neighbour is not None and not situation.neighbour.relieved


def _rebased(situation: Situation, image: ImageReference, offer: OsOffer) -> Ground | Refused:
    os = offer.image
    if os.architecture and os.architecture != situation.host.architecture:
        reason = f"{image} is an OS for {os.architecture}, this node is {situation.host.architecture}"
        hint = "the config is for other nodes"
        return Refused(Failure(Code.PACKAGE_WRONG_ARCHITECTURE, reason, hint))
    rebase = _rebase(image, os, signed=offer.signed)
    return Ground(os.digest, os.packages, os.kernel_release, rebase)


def _rebase(image: ImageReference, os: OsImage, *, signed: bool) -> Rebase:
    """How rpm-ostree is told: ``reference/rpm-ostree-dbus.md`` 2 and 4."""
    match os.form:
        case OsForm.CONTAINER:
            place = f"{image.place}@{image.digest}"
            refspec = f"ostree-image-signed:docker://{place}" if signed else f"ostree-unverified-registry:{place}"
            return Rebase(image, refspec)
        case OsForm.REPOSITORY:
            return Rebase(image, os.commit, (f"pivot://{image.place}@{image.digest}", _DESCRIPTION))
        case _:
            assert_never(os.form)


def _plain_kernel_release(situation: Situation, merge: Deployment) -> str:
    """What the base's own kernel says, from any deployment of it that nothing of ours is in."""
    same = (deployment for deployment in situation.deployments.all if deployment.base_checksum == merge.base_checksum)
    plain = (deployment for deployment in same if not is_swapped(deployment) and not overridden_kernels(deployment))
    return next((deployment.kernel_release for deployment in plain), "")
