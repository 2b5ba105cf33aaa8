"""Which packages make the wanted kernel on a base: the goal, and the differences that lead to it.

Sets are computed against the merge deployment, because that is what a new transaction starts from
(``reference/rpm-ostree-dbus.md`` 2), and only differences are asked for, because asking for what is
there already is an error (the same, "Idempotence").
"""

from dataclasses import field

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Package
from mcd_rt.model.deployment import Deployment
from mcd_rt.model.kernel import Flavor, KernelType, is_base_kernel
from mcd_rt.model.plan import Assembly, Ignored, NeedsBase, NeedsContent, NeedsDigest, Refused, Target, Waiting
from mcd_rt.plan.ground import Ground
from mcd_rt.plan.images import Images, find_images
from mcd_rt.plan.layering import is_swapped, kernel_packages, kernel_removals, kernel_requests
from mcd_rt.plan.packages import expected_kernel_release, select_packages
from mcd_rt.plan.situation import Situation


@frozen
class Goal:
    """The target, and the assembly that leads to it; an empty one where the packages are right already.

    ``leftover`` is worth no assembly and no reboot of its own: it is done where there is something else to do.
    """

    target: Target
    assembly: Assembly
    leftover: Assembly = field(default_factory=Assembly)


def aim_at_default(situation: Situation, ground: Ground) -> Goal | Refused:
    """The base's own kernel, everything of ours taken back."""
    back = _taken_back(situation, ground)
    brought = ground.flavored if ground.rebase is not None else ()
    if brought or (back == Assembly() and brings_realtime(situation)):
        which = f" ({', '.join(map(str, brought))})" if brought else ""
        return Refused(
            Failure(
                Code.BASE_HAS_KERNEL,
                f"the default kernel is asked for, but the base itself brings another one{which}",
                "an image with the default kernel is needed",
            )
        )
    return Goal(Target(KernelType.DEFAULT, ground.base, "", (), ground.kernel_release), back)


def aim_at_flavor(
    situation: Situation, ground: Ground, flavor: Flavor
) -> Goal | NeedsBase | NeedsContent | NeedsDigest | Ignored | Waiting | Refused:
    """Another kernel than the base's own, from the packages of the config's image."""
    images = find_images(situation)
    if not isinstance(images, Images):
        return images
    obstacle = _obstacle(situation, ground, flavor, images)
    if obstacle is not None:
        return obstacle
    there = _aim_at_what_is_there(situation, ground, flavor, images)
    if there is not None:
        return there
    if situation.content is None or situation.content.digest != images.packages.digest:
        return NeedsContent(images.packages, flavor.names)
    chosen = select_packages(situation.content, flavor, situation.host.architecture)
    if ground.packages is None and (not isinstance(chosen, Failure) or _may_bring(situation, flavor)):
        return NeedsBase(situation.deployments.merge.base_checksum)
    if ground.flavored:
        return _aim_at_own(situation, ground, flavor)
    if isinstance(chosen, Failure):
        return _without_packages(chosen, situation, ground)
    return _swapped(situation, ground, flavor, chosen)


def _aim_at_what_is_there(
    situation: Situation, ground: Ground, flavor: Flavor, images: Images
) -> Goal | Refused | None:
    """What can be said without opening the image of the packages."""
    merge, known = situation.deployments.merge, situation.record.verified
    if ground.rebase is not None:
        return _aim_at_own(situation, ground, flavor) if ground.flavored else None
    if flavor.kernel_type is KernelType.REALTIME and brings_realtime(situation):
        return Goal(Target(flavor.kernel_type, ground.base, "", (), merge.kernel_release), Assembly())
    if known is not None and _is_known(known.target, merge, images.packages.digest, flavor):
        return Goal(known.target, Assembly())
    return None


def _may_bring(situation: Situation, flavor: Flavor) -> bool:
    """Whether the base may have the kernel itself: of a real-time one that runs it is known without asking."""
    return not situation.deployments.merge.booted or flavor.kernel_type is not KernelType.REALTIME


def brings_realtime(situation: Situation) -> bool:
    """Whether what runs is a real-time kernel of the base's own, seen without asking what is in the base."""
    merge, host = situation.deployments.merge, situation.host
    own = merge.booted and not is_swapped(merge) and merge.kernel_release in ("", host.kernel_release)
    return own and host.realtime


def _taken_back(situation: Situation, ground: Ground) -> Assembly:
    """Everything that makes another kernel type, and nothing of others."""
    merge = situation.deployments.merge
    uninstall = sorted([*map(str, kernel_packages(merge)), *kernel_requests(merge)])
    reset = kernel_removals(merge) - set(situation.record.foreign_removals) if is_swapped(merge) else frozenset()
    return Assembly(uninstall=tuple(uninstall), reset=tuple(sorted(reset)), rebase=ground.rebase)


def _aim_at_own(situation: Situation, ground: Ground, flavor: Flavor) -> Goal | Refused:
    """A base that brings the flavor itself needs nothing of ours; what is there of it goes with the next change.

    Others have brought that base and left our packages where they were. To take them back alone would change nothing of
    what runs, for an assembly and a reboot.
    """
    if any(not flavor.owns(package.name) for package in ground.flavored if package.name != flavor.prefix):
        brought = ", ".join(map(str, ground.flavored))
        reason = f"{flavor.kernel_type} is asked for, but the base itself brings {brought}"
        return Refused(Failure(Code.BASE_HAS_KERNEL, reason, "an image with the default kernel is needed"))
    target = Target(flavor.kernel_type, ground.base, "", (), "" if ground.rebase is None else ground.kernel_release)
    back = _taken_back(situation, ground)
    return Goal(target, back) if ground.rebase is not None else Goal(target, Assembly(), back)


def _swapped(situation: Situation, ground: Ground, flavor: Flavor, chosen: tuple[Package, ...]) -> Goal:
    merge = situation.deployments.merge
    wanted = {package.nevra for package in chosen}
    outdated = [str(nevra) for nevra in kernel_packages(merge) if nevra not in wanted]
    vanished: frozenset[str] = frozenset()
    if ground.rebase is not None and is_swapped(merge):
        vanished = kernel_removals(merge) - ground.names - set(situation.record.foreign_removals)
    assembly = Assembly(
        install=tuple(package for package in chosen if package.nevra not in merge.local),
        uninstall=tuple(sorted([*outdated, *kernel_requests(merge)])),
        remove=tuple(sorted(filter(is_base_kernel, ground.names - set(merge.removals)))),
        reset=tuple(sorted(vanished)),
        rebase=ground.rebase,
    )
    release = expected_kernel_release(chosen)
    digest = situation.content.digest if situation.content is not None else ""
    return Goal(Target(flavor.kernel_type, ground.base, digest, tuple(sorted(wanted)), release), assembly)


def _without_packages(why: Failure, situation: Situation, ground: Ground) -> Ignored | Refused:
    """An image without the kernel: nothing is rebased to it; where that has happened, the old packages stay."""
    if why.code is not Code.IMAGE_WITHOUT_KERNEL:
        return Refused(why)
    if ground.rebase is not None:
        hint = "nothing is staged; an image of a release that ships them is needed, or the default kernel asked for"
        return Refused(Failure(why.code, why.message, hint))
    kept = ", ".join(map(str, kernel_packages(situation.deployments.merge)))
    if kept:
        return Ignored(Failure(why.code, f"{why.message}; the node stays on {kept}", why.hint))
    return Ignored(why)


def _obstacle(situation: Situation, ground: Ground, flavor: Flavor, images: Images) -> Waiting | Refused | None:
    """What keeps a kernel other than the default one from being planned on this base."""
    merge, host = situation.deployments.merge, situation.host
    if not flavor.supports(host.architecture):
        reason = f"{flavor.kernel_type} does not exist for {host.architecture}"
        return Refused(Failure(Code.ARCHITECTURE_UNSUPPORTED, reason, "ask for another kernelType"))
    if flavor.kernel_type is KernelType.REALTIME and host.fips and situation.settings.policy.fips == "refuse":
        reason = f"{flavor.kernel_type} is asked for, and this node is in FIPS mode"
        return Refused(Failure(Code.FIPS_REFUSED, reason, "policy.fips is refuse: ask for the default kernel here"))
    if ground.rebase is not None:
        return None
    if not merge.image_digests and not situation.settings.os.accept_unknown_base:
        reason = f"it is not known which image the base {merge.version or merge.base_checksum[:12]} came from"
        return Refused(Failure(Code.BASE_UNKNOWN, reason, "set os.accept_unknown_base if it is osImageURL's"))
    if merge.image_digests and images.os.digest not in merge.image_digests:
        reason = f"the base came from {' or '.join(merge.image_digests)}, osImageURL is {images.os.digest}"
        hint = (
            "nothing, while an update is under way: whoever updates the OS has not done so yet; else find out who does"
        )
        return Waiting(Failure(Code.WAITING_FOR_BASE, reason, hint))
    return None


def _is_known(target: Target, merge: Deployment, image_digest: str, flavor: Flavor) -> bool:
    """Whether the merge deployment is the target that was verified, so that the image need not be opened."""
    return (
        (target.kernel_type, target.image_digest) == (flavor.kernel_type, image_digest)
        and merge.stands_on(target.base)
        and set(target.packages) == set(kernel_packages(merge))
        and not kernel_requests(merge)
    )
