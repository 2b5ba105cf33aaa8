"""desired × observed × content → plan. Correctness lives here: values in, a value out.

Sets are computed against the merge deployment, because that is what a new transaction starts from
(``reference/rpm-ostree-dbus.md`` 2), and only differences are asked for, because asking for what is
there already is an error (the same, "Idempotence").
"""

from dataclasses import dataclass

from mcd_rt.errors import Code, Failure
from mcd_rt.model.content import Content, Package
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import Flavor, KernelType, flavor_of, flavor_owning, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import (
    Assembly,
    Change,
    Discard,
    Ignored,
    NeedsBase,
    NeedsContent,
    Plan,
    Reboot,
    Refused,
    Shape,
    Steady,
    Target,
    Waiting,
)
from mcd_rt.model.record import Record
from mcd_rt.plan.layering import (
    apart_from_kernel,
    foreign_layers,
    is_swapped,
    kernel_packages,
    kernel_removals,
    kernel_requests,
    overridden_kernels,
    shape_of,
)
from mcd_rt.plan.management import Neighbour, leave_to
from mcd_rt.plan.packages import expected_kernel_release, select_packages
from mcd_rt.plan.verification import has_target, judge_running


@dataclass(frozen=True, slots=True)
class Base:
    """The kernel packages of a base commit."""

    checksum: str
    packages: tuple[Nevra, ...]


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a plan is made from; ``base`` and ``content`` are there once a plan asked for them."""

    desired: Desired
    host: Host
    deployments: Deployments
    record: Record
    accept_unknown_base: bool = False
    neighbour: Neighbour | None = None
    base: Base | None = None
    content: Content | None = None


def make_plan(situation: Situation) -> Plan:
    """The next thing to do, or why nothing is done."""
    refusal = _refuse_foreign(situation)
    if refusal is not None:
        return Refused(refusal)
    flavor = flavor_of(situation.desired.kernel_type)
    plan = _plan_default(situation) if flavor is None else _plan_flavor(situation, flavor)
    if situation.neighbour is not None and isinstance(plan, Change):
        reason = leave_to(situation.neighbour, plan, situation.deployments.merge)
        if reason is not None:
            return Waiting(reason)
    staged = situation.deployments.staged
    if staged is None or not is_ours(situation, staged) or _is_on_staged(situation, staged):
        return plan
    match plan:
        case Change() | Waiting() | Ignored() | Refused():
            return Discard(staged.id, "what was staged is not what is wanted now")
        case _:
            return plan


def is_ours(situation: Situation, staged: Deployment) -> bool:
    """Whether a staged deployment is our work: by the record, or by what it is.

    The second is for a record that was lost or never completed. A *locked* deployment that has the target
    begun in this boot is ours, and what else is in it is another client's; and so is one that differs from
    the booted one by a kernel swap only, which no other client is known to stage locked.
    """
    attempt, booted = situation.record.attempt, situation.deployments.booted
    if attempt is not None and attempt.deployment_id == staged.id:
        return attempt.boot_id == situation.host.boot_id
    if booted is None or not staged.locked:
        return False
    if attempt is not None and attempt.boot_id == situation.host.boot_id and has_target(staged, attempt.target):
        return True
    return apart_from_kernel(staged) == apart_from_kernel(booted) and shape_of(staged) != shape_of(booted)


def _is_on_staged(situation: Situation, staged: Deployment) -> bool:
    """Whether there is another client's work in what we staged, so that it must not be dropped."""
    attempt, booted = situation.record.attempt, situation.deployments.booted
    if attempt is not None and (attempt.on_staged or attempt.deployment_id == staged.id):
        return attempt.on_staged
    return booted is not None and apart_from_kernel(staged) != apart_from_kernel(booted)


def _refuse_foreign(situation: Situation) -> Failure | None:
    staged = situation.deployments.staged
    if staged is not None and staged.locked and not is_ours(situation, staged):
        return Failure(
            Code.STAGED_BY_ANOTHER,
            f"another client staged {staged.id} and locked it",
            "it is left alone; once it is finalized or dropped (`rpm-ostree cleanup -p`) we go on",
        )
    overridden = overridden_kernels(situation.deployments.merge)
    if overridden:
        return Failure(
            Code.KERNEL_OVERRIDDEN,
            f"an administrator replaced the kernel: {', '.join(overridden)}",
            "`rpm-ostree override reset` takes it back; until then the kernel is left alone",
        )
    return None


def _plan_default(situation: Situation) -> Plan:
    merge = situation.deployments.merge
    uninstall = sorted([*map(str, kernel_packages(merge)), *kernel_requests(merge)])
    reset = kernel_removals(merge) - set(situation.record.foreign_removals) if is_swapped(merge) else frozenset()
    target = Target(KernelType.DEFAULT, merge.base_checksum, "", (), _base_kernel_release(situation))
    if not uninstall and not reset:
        if _base_brings_realtime(situation):
            return Refused(
                Failure(
                    Code.BASE_HAS_KERNEL,
                    "the default kernel is asked for, but the base itself brings the real-time one",
                    "an image with the default kernel is needed",
                )
            )
        return _arrived(situation, target)
    return _change(situation, target, Assembly(uninstall=tuple(uninstall), reset=tuple(sorted(reset))))


def _plan_flavor(situation: Situation, flavor: Flavor) -> Plan:
    image = _pinned_image(situation.desired)
    if not isinstance(image, ImageReference):
        return image
    obstacle = _obstacle(situation, flavor, image)
    if obstacle is not None:
        return obstacle
    merge, known = situation.deployments.merge, situation.record.verified
    if flavor.kernel_type is KernelType.REALTIME and _base_brings_realtime(situation):
        return _arrived(situation, Target(flavor.kernel_type, merge.base_checksum, "", (), merge.kernel_release))
    if known is not None and _is_known(known.target, merge, image, flavor):
        return _arrived(situation, known.target)
    if situation.content is None or situation.content.digest != image.digest:
        names = tuple(f"{flavor.prefix}-{suffix}" for suffix in flavor.required + flavor.optional)
        return NeedsContent(image, names)
    chosen = select_packages(situation.content, flavor, situation.host.architecture)
    if isinstance(chosen, Failure):
        return Ignored(chosen) if chosen.code is Code.IMAGE_WITHOUT_KERNEL else Refused(chosen)
    if situation.base is None or situation.base.checksum != merge.base_checksum:
        return NeedsBase(merge.base_checksum)
    return _swap(situation, flavor, image.digest, chosen)


def _swap(situation: Situation, flavor: Flavor, image_digest: str, chosen: tuple[Package, ...]) -> Plan:
    merge, base = situation.deployments.merge, situation.base
    assert base is not None
    base_names = {package.name for package in base.packages}
    own = tuple(sorted(package for package in base.packages if flavor_owning(package.name) is not None))
    if any(not flavor.owns(package.name) for package in own):
        reason = f"{flavor.kernel_type} is asked for, but the base itself brings {', '.join(map(str, own))}"
        return Refused(Failure(Code.BASE_HAS_KERNEL, reason, "an image with the default kernel is needed"))
    if own:
        return _arrived(situation, Target(flavor.kernel_type, base.checksum, "", own, ""))
    wanted = {package.nevra for package in chosen}
    assembly = Assembly(
        install=tuple(package for package in chosen if package.nevra not in merge.local),
        uninstall=tuple(
            sorted([*(str(n) for n in kernel_packages(merge) if n not in wanted), *kernel_requests(merge)])
        ),
        remove=tuple(sorted(filter(is_base_kernel, base_names - set(merge.removals)))),
    )
    target = Target(
        flavor.kernel_type,
        merge.base_checksum,
        image_digest,
        tuple(sorted(wanted)),
        expected_kernel_release(chosen),
    )
    if not (assembly.install or assembly.uninstall or assembly.remove):
        return _arrived(situation, target)
    return _change(situation, target, assembly)


def _pinned_image(desired: Desired) -> ImageReference | Waiting | Refused:
    """The image of a config that needs one; or why there is none."""
    if not desired.os_image:
        reason = f"{desired.name} asks for {desired.kernel_type} but names no osImageURL to take it from"
        return Waiting(Failure(Code.IMAGE_MISSING, reason, "a rendered config has one"))
    try:
        image = ImageReference.parse(desired.os_image)
    except ValueError as error:
        return Refused(Failure(Code.CONFIG_INVALID, f"osImageURL of {desired.name}: {error}", "correct the reference"))
    if not image.digest:
        reason = f"osImageURL {desired.os_image} is not pinned by digest"
        return Refused(Failure(Code.IMAGE_NOT_PINNED, reason, "name the image as …@sha256:…"))
    return image


def _obstacle(situation: Situation, flavor: Flavor, image: ImageReference) -> Waiting | Refused | None:
    """What keeps a kernel other than the default one from being planned on this base."""
    merge = situation.deployments.merge
    if not flavor.supports(situation.host.architecture):
        reason = f"{flavor.kernel_type} does not exist for {situation.host.architecture}"
        return Refused(Failure(Code.ARCHITECTURE_UNSUPPORTED, reason, "ask for another kernelType"))
    if not merge.image_digest and not situation.accept_unknown_base:
        reason = f"it is not known which image the base {merge.version or merge.base_checksum[:12]} came from"
        return Refused(Failure(Code.BASE_UNKNOWN, reason, "set os.accept_unknown_base if it is osImageURL's"))
    if merge.image_digest and merge.image_digest != image.digest:
        reason = f"the base came from {merge.image_digest}, osImageURL is {image.digest}"
        return Waiting(Failure(Code.WAITING_FOR_BASE, reason, "whoever updates the OS has not done so yet"))
    return None


def _arrived(situation: Situation, target: Target) -> Plan:
    """The merge deployment is as wanted: it runs, or a boot is missing, ours or somebody else's."""
    merge = situation.deployments.merge
    if merge.booted:
        failure = judge_running(target, situation.host)
        if failure is not None:
            return Refused(failure)
        return Steady(f"{target.kernel_type} is wanted and runs ({situation.host.kernel_release})")
    if merge.staged and is_ours(situation, merge):
        on_staged = _is_on_staged(situation, merge)
        return Reboot(merge.id, merge.base_checksum, merge.locked, on_staged, target)
    failure = situation.record.failure
    if not merge.staged and failure is not None and failure.code is Code.ROLLED_BACK:
        return Refused(failure)  # not booted into again by itself: a person chose so, or it does not boot
    return Steady(f"{target.kernel_type} is wanted; {merge.id}, which is not ours, brings it with the next boot")


def _change(situation: Situation, target: Target, assembly: Assembly) -> Change:
    merge = situation.deployments.merge
    gone = set(assembly.uninstall)
    local = {nevra for nevra in merge.local if str(nevra) not in gone} | {p.nevra for p in assembly.install}
    return Change(
        target=target,
        merge_id=merge.id,
        assembly=assembly,
        shape=Shape(
            base_checksum=merge.base_checksum,
            local=tuple(sorted(local)),
            requested=tuple(sorted(set(merge.requested) - gone)),
            removals=tuple(sorted(set(merge.removals) - set(assembly.reset) | set(assembly.remove))),
            replacements=merge.replacements,
        ),
        kept=foreign_layers(merge),
        on_staged=not merge.booted and (not is_ours(situation, merge) or _is_on_staged(situation, merge)),
        foreign_removals=(
            situation.record.foreign_removals if is_swapped(merge) else tuple(sorted(kernel_removals(merge)))
        ),
    )


def _is_known(target: Target, merge: Deployment, image: ImageReference, flavor: Flavor) -> bool:
    """Whether the merge deployment is the target that was verified, so that the image need not be opened."""
    return (
        (target.kernel_type, target.image_digest) == (flavor.kernel_type, image.digest)
        and target.base_checksum == merge.base_checksum
        and set(target.packages) == set(kernel_packages(merge))
        and not kernel_requests(merge)
    )


def _base_brings_realtime(situation: Situation) -> bool:
    """Whether what runs is a real-time kernel of the base's own, seen without asking what is in the base."""
    merge, host = situation.deployments.merge, situation.host
    own = merge.booted and not is_swapped(merge) and merge.kernel_release in ("", host.kernel_release)
    return own and host.realtime


def _base_kernel_release(situation: Situation) -> str:
    """What the base's own kernel says, from any deployment of it that nothing of ours is in."""
    base = situation.deployments.merge.base_checksum
    same = (deployment for deployment in situation.deployments.all if deployment.base_checksum == base)
    plain = (deployment for deployment in same if not is_swapped(deployment) and not overridden_kernels(deployment))
    return next((deployment.kernel_release for deployment in plain), "")
