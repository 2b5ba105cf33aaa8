"""What a plan says where the OS is ours to update, too: the OS image and the kernel in one assembly."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.deployment import Deployment
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType, flavor_of
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm
from mcd_rt.model.plan import (
    ArgumentsChange,
    Assembly,
    Change,
    Ignored,
    NeedsContent,
    NeedsDigest,
    NeedsOs,
    Plan,
    Rebase,
    Reboot,
    Refused,
    Shape,
    Steady,
    Target,
    Waiting,
)
from mcd_rt.model.record import Record, Resolved
from mcd_rt.model.settings import ContentSettings, OsSettings, Settings
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.situation import Neighbour, OsOffer, Situation
from tests.unit.nodes import (
    ARM,
    EL8,
    EL8_RT,
    EL9,
    EL9_RT,
    EL9_RT_OLD,
    IMAGE,
    OTHER_IMAGE,
    Kernel,
    attempt_of,
    base_of,
    checksum_of,
    content,
    desired,
    offer,
    on_default,
    on_flavor,
    situation,
    staged,
    verified,
)

IMAGE_MODE = Settings(os=OsSettings(manage="image"))
NEXT_OS = ImageReference("registry.example/next", "", OTHER_IMAGE, layout=False)
REBASE = Rebase(NEXT_OS, f"ostree-unverified-registry:registry.example/next@{OTHER_IMAGE}")
EXTENSIONS = "sha256:" + "e" * 64

NEXT = replace(EL9, release="427.el9_4")
NEXT_RT = replace(EL9_RT, release="427.rt14.500.el9_4")
NEXT_RT_OWN = replace(NEXT_RT, release="427.rt14.501.el9_4")
HTOP = Nevra.parse("htop-3.2.1-1.el9.x86_64")
META = Nevra("kernel-rt", 0, "5.14.0", "427.rt14.500.el9_4", "x86_64")
REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT


def nevras(kernel: Kernel) -> tuple[str, ...]:
    return tuple(map(str, kernel.nevras))


def asking(
    wanted: KernelType, there: Deployment, offered: OsOffer | None, *flavors: Kernel, **given: object
) -> Situation:
    """A node whose config names another image than its base is of, both looked at."""
    asked = situation(
        wanted,
        there,
        desired=desired(wanted, os_image=str(NEXT_OS)),
        settings=IMAGE_MODE,
        offer=offered,
        content=replace(content(*flavors), digest=OTHER_IMAGE),
    )
    return replace(asked, **given)


@dataclass(frozen=True, slots=True)
class Case:
    """``kernel`` is the new OS's, ``flavor`` what its image has of the real-time one; the rest is how it ends."""

    there: Deployment
    wanted: KernelType
    kernel: Kernel
    flavor: tuple[Kernel, ...]
    assembly: Assembly
    local: tuple[Nevra, ...] = ()
    requested: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()


CASES = {
    "upgrade of the default kernel": Case(on_default(), DEFAULT, NEXT, (), Assembly()),
    "upgrade keeping realtime": Case(
        on_flavor(EL9, EL9_RT),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, uninstall=nevras(EL9_RT)),
        local=NEXT_RT.nevras,
        removals=NEXT.names,
    ),
    "upgrade and switch to realtime": Case(
        on_default(),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, remove=NEXT.names),
        local=NEXT_RT.nevras,
        removals=NEXT.names,
    ),
    "upgrade and switch to default": Case(
        on_flavor(EL9, EL9_RT), DEFAULT, NEXT, (NEXT_RT,), Assembly(uninstall=nevras(EL9_RT), reset=EL9.names)
    ),
    "downgrade keeping realtime": Case(
        on_flavor(NEXT, NEXT_RT),
        REALTIME,
        EL9,
        (EL9_RT,),
        Assembly(install=EL9_RT.packages, uninstall=nevras(NEXT_RT)),
        local=EL9_RT.nevras,
        removals=EL9.names,
    ),
    "a part of the kernel appears (EL8 to EL9)": Case(
        on_flavor(EL8, EL8_RT),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, uninstall=nevras(EL8_RT), remove=("kernel-modules-core",)),
        local=NEXT_RT.nevras,
        removals=NEXT.names,
    ),
    "a part of the kernel disappears (EL9 to EL8)": Case(
        on_flavor(NEXT, NEXT_RT),
        REALTIME,
        EL8,
        (EL8_RT,),
        Assembly(install=EL8_RT.packages, uninstall=nevras(NEXT_RT), reset=("kernel-modules-core",)),
        local=EL8_RT.nevras,
        removals=EL8.names,
    ),
    "the image has a new part of kernel-rt": Case(
        on_flavor(EL9, EL9_RT.only("core", "modules", "modules-core")),
        REALTIME,
        NEXT,
        (EL9_RT.only("core", "modules", "modules-core", "modules-extra"),),
        Assembly(install=(EL9_RT.package("modules-extra"),)),
        local=EL9_RT.only("core", "modules", "modules-core", "modules-extra").nevras,
        removals=NEXT.names,
    ),
    "the image has the very same kernel-rt": Case(
        on_flavor(EL9, EL9_RT),
        REALTIME,
        NEXT,
        (EL9_RT,),
        Assembly(),
        local=EL9_RT.nevras,
        removals=NEXT.names,
    ),
    "a newer kernel-rt for the same OS": Case(
        on_flavor(EL9, EL9_RT_OLD),
        REALTIME,
        EL9,
        (EL9_RT,),
        Assembly(install=EL9_RT.packages, uninstall=nevras(EL9_RT_OLD)),
        local=EL9_RT.nevras,
        removals=EL9.names,
    ),
    "realtime that another agent requested from a repository": Case(
        on_flavor(EL9, EL9_RT, local=(), requested=("kernel-rt-core", "kernel-rt-modules", "usbguard")),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, uninstall=("kernel-rt-core", "kernel-rt-modules")),
        local=NEXT_RT.nevras,
        requested=("usbguard",),
        removals=NEXT.names,
    ),
    "realtime and its meta package that another agent installed": Case(
        on_flavor(EL9, EL9_RT, local=(META, *EL9_RT_OLD.only("core", "modules").nevras)),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(
            install=NEXT_RT.packages,
            uninstall=tuple(sorted([str(META), *nevras(EL9_RT_OLD.only("core", "modules"))])),
        ),
        local=NEXT_RT.nevras,
        removals=NEXT.names,
    ),
    "realtime that another agent requested, given up": Case(
        on_flavor(EL9, EL9_RT, local=(), requested=("kernel-rt-core", "usbguard")),
        DEFAULT,
        NEXT,
        (),
        Assembly(uninstall=("kernel-rt-core",), reset=EL9.names),
        requested=("usbguard",),
    ),
    "what an admin removed, replaced and layered stays": Case(
        on_default(local=(HTOP,), requested=("strace",), removals=("kernel-modules-extra", "moby-engine")),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, remove=("kernel", "kernel-core", "kernel-modules", "kernel-modules-core")),
        local=(HTOP, *NEXT_RT.nevras),
        requested=("strace",),
        removals=(*NEXT.names, "moby-engine"),
    ),
    "a part that an admin removed and the new base has not": Case(
        on_default(removals=("kernel-modules-extra",)),
        REALTIME,
        NEXT.only("core", "modules", "modules-core"),
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, remove=("kernel-core", "kernel-modules", "kernel-modules-core")),
        local=NEXT_RT.nevras,
        removals=("kernel-core", "kernel-modules", "kernel-modules-core", "kernel-modules-extra"),
    ),
    "a base that brings realtime, and what of ours is left over": Case(
        on_flavor(EL9, EL9_RT),
        REALTIME,
        NEXT_RT_OWN,
        (),
        Assembly(uninstall=nevras(EL9_RT), reset=EL9.names),
    ),
    "a base that brings realtime, on a default node": Case(on_default(), REALTIME, NEXT_RT_OWN, (), Assembly()),
    "from a base that brought realtime": Case(
        on_default(NEXT_RT_OWN),
        REALTIME,
        NEXT,
        (NEXT_RT,),
        Assembly(install=NEXT_RT.packages, remove=NEXT.names),
        local=NEXT_RT.nevras,
        removals=NEXT.names,
    ),
    "of unknown origin": Case(on_default(image_digest=""), DEFAULT, NEXT, (), Assembly()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_os_and_the_kernel_come_in_one_assembly(name):
    case = CASES[name]
    plan = make_plan(asking(case.wanted, case.there, offer(case.kernel), *case.flavor))
    assert isinstance(plan, Change), plan
    installs = case.wanted is REALTIME and case.kernel is not NEXT_RT_OWN
    [flavor] = case.flavor if installs else [None]
    repositories = bool(case.requested)
    assert plan.steps == (replace(case.assembly, rebase=replace(REBASE, repositories=repositories)),)
    assert plan.shape == Shape(OTHER_IMAGE, case.local, case.requested, case.removals, ())
    assert plan.target == Target(
        case.wanted,
        OTHER_IMAGE,
        OTHER_IMAGE if installs else "",
        flavor.nevras if flavor else (),
        flavor.uname if flavor else case.kernel.uname,
    )
    assert (plan.merge_id, plan.on_staged) == (case.there.id, False)


def test_what_is_kept_is_listed_and_its_repositories_are_needed():
    there = on_flavor(EL9, EL9_RT, requested=("usbguard",), replacements=("podman-2:4.4.2-1.el9.x86_64",))
    plan = make_plan(asking(REALTIME, there, offer(NEXT), NEXT_RT))
    assert isinstance(plan, Change)
    assert plan.kept == ("usbguard", "podman-2:4.4.2-1.el9.x86_64 (replaced)")
    assert plan.steps[0].rebase.repositories
    assert plan.shape.replacements == ("podman-2:4.4.2-1.el9.x86_64",)


@pytest.mark.parametrize(
    ("offered", "rebase"),
    [
        (offer(NEXT), REBASE),
        (
            offer(NEXT, signed=True),
            Rebase(NEXT_OS, f"ostree-image-signed:docker://registry.example/next@{OTHER_IMAGE}"),
        ),
        (
            offer(NEXT, OsForm.REPOSITORY),
            Rebase(
                NEXT_OS,
                checksum_of(NEXT.uname),
                (f"pivot://registry.example/next@{OTHER_IMAGE}", "Managed by mcd-rt"),
            ),
        ),
    ],
    ids=["container", "container that the policy judges", "repository in the image"],
)
def test_how_rpm_ostree_is_told_of_the_os(offered, rebase):
    plan = make_plan(asking(DEFAULT, on_default(), offered))
    assert isinstance(plan, Change)
    assert plan.steps == (Assembly(rebase=rebase),)


def test_a_tag_beside_the_digest_is_left_out():
    tagged = desired(DEFAULT, os_image=f"registry.example/next:4.17@{OTHER_IMAGE}")
    plan = make_plan(asking(DEFAULT, on_default(), offer(NEXT), desired=tagged))
    assert isinstance(plan, Change)
    assert plan.steps[0].rebase.refspec == REBASE.refspec


def test_the_os_of_the_config_is_asked_for_once_it_is_another_one():
    asked = asking(DEFAULT, on_default(), None, NEXT_RT)
    assert make_plan(asked) == NeedsOs(NEXT_OS, ())
    stale = replace(offer(NEXT), image=replace(offer(NEXT).image, digest=IMAGE))
    assert make_plan(replace(asked, offer=stale)) == NeedsOs(NEXT_OS, ())


def test_packages_of_the_same_image_are_asked_for_together_with_its_os():
    asked = asking(REALTIME, on_default(), None)
    names = flavor_of(REALTIME).names
    assert make_plan(asked) == NeedsOs(NEXT_OS, names)
    beside = replace(asked.desired, extensions_image=f"registry.example/extensions@{IMAGE}")
    assert make_plan(replace(asked, desired=beside)) == NeedsOs(NEXT_OS, ())


def test_what_is_booted_is_recognised_by_its_digest_from_whichever_repository():
    mirrored = desired(DEFAULT, os_image=f"mirror.registry.example:5000/some/where@{IMAGE}")
    assert isinstance(make_plan(asking(DEFAULT, on_default(), None, desired=mirrored)), Steady)


@pytest.mark.parametrize("wanted", [DEFAULT, REALTIME])
def test_the_kernel_is_still_switched_on_the_os_that_is_there(wanted):
    there = on_flavor(EL9, EL9_RT) if wanted is DEFAULT else on_default()
    asked = situation(wanted, there, settings=IMAGE_MODE, base=base_of(EL9), content=content(EL9_RT))
    plan = make_plan(asked)
    assert isinstance(plan, Change)
    assert plan.steps[0].rebase is None


def test_a_default_node_without_an_image_keeps_its_os():
    nothing = desired(DEFAULT, os_image="")
    assert isinstance(make_plan(asking(DEFAULT, on_default(), None, desired=nothing)), Steady)


def refused(plan: Plan) -> tuple[Code, str]:
    assert isinstance(plan, Refused), plan
    assert plan.reason.hint
    return plan.reason.code, plan.reason.message


def _no_kernel(asked: Situation) -> Situation:
    return replace(asked, content=replace(content(), digest=OTHER_IMAGE))


def _brings_realtime(asked: Situation) -> Situation:
    return replace(asked, desired=replace(asked.desired, kernel_type=DEFAULT), offer=offer(NEXT_RT_OWN))


def _brings_another_flavor(asked: Situation) -> Situation:
    own = Kernel("kernel-64k", ("core", "modules"), "5.14.0", "427.el9_4")
    return replace(asked, offer=offer(own))


def _of_another_architecture(asked: Situation) -> Situation:
    return replace(asked, offer=offer(replace(ARM, release="427.el9_4")))


def _fips_refused(asked: Situation) -> Situation:
    settings = replace(IMAGE_MODE, policy=replace(IMAGE_MODE.policy, fips="refuse"))
    return replace(
        asked,
        settings=settings,
        host=replace(asked.host, fips=True),
        desired=replace(asked.desired, fips=True),
    )


def _layering_locked(asked: Situation) -> Situation:
    return replace(asked, host=replace(asked.host, layering_locked="LockLayering is set in /etc/rpm-ostreed.conf"))


def _overridden(asked: Situation) -> Situation:
    hotfix = on_default(replacements=("kernel-core-5.14.0-285.el9_2.hotfix.x86_64",))
    return replace(asked, deployments=replace(asked.deployments, all=(hotfix,)))


def _tag(asked: Situation) -> Situation:
    return replace(asked, desired=replace(asked.desired, os_image="registry.example/next:4.17"))


def _no_reference(asked: Situation) -> Situation:
    return replace(asked, desired=replace(asked.desired, os_image="registry.example/next@sha256:abc"))


def _extensions_by_tag(asked: Situation) -> Situation:
    return replace(asked, desired=replace(asked.desired, extensions_image="registry.example/extensions:4.17"))


@pytest.mark.parametrize(
    ("obstructed", "code", "named"),
    [
        (_no_kernel, Code.IMAGE_WITHOUT_KERNEL, OTHER_IMAGE),
        (_brings_realtime, Code.BASE_HAS_KERNEL, "kernel-rt-core-5.14.0-427.rt14.501.el9_4.x86_64"),
        (_brings_another_flavor, Code.BASE_HAS_KERNEL, "kernel-64k-core"),
        (_of_another_architecture, Code.PACKAGE_WRONG_ARCHITECTURE, "aarch64, this node is x86_64"),
        (_fips_refused, Code.FIPS_REFUSED, "FIPS mode"),
        (_layering_locked, Code.LAYERING_LOCKED, "/etc/rpm-ostreed.conf"),
        (_overridden, Code.KERNEL_OVERRIDDEN, "kernel-core-5.14.0-285.el9_2.hotfix.x86_64"),
        (_tag, Code.IMAGE_NOT_PINNED, "registry.example/next:4.17"),
        (_no_reference, Code.CONFIG_INVALID, "osImageURL of rendered-worker-1"),
        (_extensions_by_tag, Code.IMAGE_NOT_PINNED, "registry.example/extensions:4.17"),
    ],
)
def test_what_must_not_be_done_is_refused_before_anything_is_staged(
    obstructed: Callable[[Situation], Situation], code: Code, named: str
):
    found, message = refused(make_plan(obstructed(asking(REALTIME, on_default(), offer(NEXT), NEXT_RT))))
    assert found is code
    assert named in message


def test_only_the_os_may_change_where_layering_is_locked():
    asked = _layering_locked(asking(DEFAULT, on_default(), offer(NEXT)))
    plan = make_plan(asked)
    assert isinstance(plan, Change)
    assert plan.steps == (Assembly(rebase=REBASE),)


def test_where_others_update_the_os_an_image_without_the_kernel_leaves_the_old_packages_and_says_which():
    carried = on_flavor(NEXT, EL9_RT, image_digest=OTHER_IMAGE)
    plan = make_plan(asking(REALTIME, carried, None, settings=Settings(), base=base_of(NEXT)))
    assert isinstance(plan, Ignored)
    assert plan.reason.code is Code.IMAGE_WITHOUT_KERNEL
    assert plan.reason.message.endswith(f"the node stays on {', '.join(nevras(EL9_RT))}")


@pytest.mark.parametrize(("relieved", "outcome"), [(False, Waiting), (True, Change)])
def test_beside_a_machine_config_daemon_the_os_is_its_to_update_unless_it_is_relieved(relieved, outcome):
    asked = asking(REALTIME, on_default(), offer(NEXT), NEXT_RT, neighbour=Neighbour(relieved))
    plan = make_plan(asked)
    assert isinstance(plan, outcome), plan
    if isinstance(plan, Waiting):
        assert plan.reason.code is Code.WAITING_FOR_BASE


TAGGED = "registry.example/next:4.17"
TAGS_ALLOWED = replace(IMAGE_MODE, content=ContentSettings(allow_tags=True))


def test_a_tag_that_is_allowed_is_asked_about_once():
    asked = asking(DEFAULT, on_default(), offer(NEXT), desired=desired(DEFAULT, os_image=TAGGED), settings=TAGS_ALLOWED)
    assert make_plan(asked) == NeedsDigest(ImageReference("registry.example/next", "4.17", "", layout=False))
    elsewhere = Resolved("registry.example/other:4.17", IMAGE)
    known = replace(asked, record=Record(resolved=(elsewhere, Resolved(TAGGED, OTHER_IMAGE))))
    plan = make_plan(known)
    assert isinstance(plan, Change)
    assert plan.steps[0].rebase.refspec == REBASE.refspec
    assert isinstance(make_plan(replace(known, record=Record(resolved=(Resolved(TAGGED, IMAGE),)))), Steady)


def test_a_tag_of_the_extensions_is_asked_about_too():
    both = desired(REALTIME, os_image=str(NEXT_OS), extensions_image="registry.example/extensions:4.17")
    asked = asking(REALTIME, on_default(), offer(NEXT), desired=both, settings=TAGS_ALLOWED)
    assert make_plan(asked) == NeedsDigest(ImageReference("registry.example/extensions", "4.17", "", layout=False))


def test_the_packages_come_from_the_image_of_the_extensions_and_the_os_from_its_own():
    split = desired(REALTIME, os_image=str(NEXT_OS), extensions_image=f"registry.example/extensions@{EXTENSIONS}")
    asked = asking(REALTIME, on_default(), offer(NEXT), NEXT_RT, desired=split)
    needed = make_plan(asked)
    assert isinstance(needed, NeedsContent)
    assert str(needed.image) == f"registry.example/extensions@{EXTENSIONS}"
    plan = make_plan(replace(asked, content=replace(content(NEXT_RT), digest=EXTENSIONS)))
    assert isinstance(plan, Change)
    assert plan.steps == (Assembly(install=NEXT_RT.packages, remove=NEXT.names, rebase=REBASE),)
    assert (plan.target.base, plan.target.image_digest) == (OTHER_IMAGE, EXTENSIONS)
    there = on_flavor(NEXT, NEXT_RT, image_digest=OTHER_IMAGE)
    steady = situation(REALTIME, there, desired=split, settings=IMAGE_MODE, record=verified(plan.target))
    assert isinstance(make_plan(steady), Steady)


def test_arguments_come_before_an_assembly_that_brings_realtime_and_after_one_that_takes_it_back():
    for wanted, there, order in (
        (REALTIME, on_default(), (ArgumentsChange, Assembly)),
        (DEFAULT, on_flavor(EL9, EL9_RT), (Assembly, ArgumentsChange)),
    ):
        config = desired(wanted, os_image=str(NEXT_OS), kernel_arguments=("nosmt",))
        plan = make_plan(asking(wanted, there, offer(NEXT), NEXT_RT, desired=config))
        assert isinstance(plan, Change)
        assert tuple(map(type, plan.steps)) == order


def test_a_staged_os_with_its_kernel_is_rebooted_into():
    there = staged(on_flavor(NEXT, NEXT_RT, image_digest=OTHER_IMAGE))
    target = Target(REALTIME, OTHER_IMAGE, OTHER_IMAGE, NEXT_RT.nevras, NEXT_RT.uname)
    asked = asking(REALTIME, on_default(), None, NEXT_RT, base=base_of(NEXT))
    asked = replace(
        asked,
        deployments=replace(asked.deployments, all=(there, on_default())),
        record=Record(attempt=attempt_of(target)),
    )
    assert make_plan(asked) == Reboot(there.id, base_of(NEXT).checksum, locked=True, on_staged=False, target=target)


def test_a_staged_os_that_brings_realtime_is_rebooted_into_although_its_image_has_no_packages():
    there = staged(on_default(NEXT_RT_OWN, image_digest=OTHER_IMAGE))
    target = Target(REALTIME, OTHER_IMAGE, "", (), NEXT_RT_OWN.uname)
    asked = asking(REALTIME, on_default(), None, base=base_of(NEXT_RT_OWN))
    asked = replace(
        asked,
        deployments=replace(asked.deployments, all=(there, on_default())),
        record=Record(attempt=attempt_of(target)),
    )
    assert isinstance(make_plan(asked), Reboot)


def test_another_os_that_another_client_staged_is_not_put_aside():
    third = staged(on_default(NEXT_RT_OWN, image_digest="sha256:" + "c" * 64), locked=False)
    asked = asking(DEFAULT, on_default(), offer(NEXT))
    asked = replace(asked, deployments=replace(asked.deployments, all=(third, on_default())))
    code, message = refused(make_plan(asked))
    assert code is Code.STAGED_BY_ANOTHER
    assert message == "another client staged rhcos-staged.1, which brings another OS, and not the one of the config"


def test_the_os_that_another_client_staged_is_built_upon():
    same = staged(on_default(NEXT, image_digest=OTHER_IMAGE), locked=False)
    asked = asking(REALTIME, on_default(), None, NEXT_RT, base=base_of(NEXT))
    plan = make_plan(replace(asked, deployments=replace(asked.deployments, all=(same, on_default()))))
    assert isinstance(plan, Change)
    assert plan.steps == (Assembly(install=NEXT_RT.packages, remove=NEXT.names),)
    assert plan.on_staged


def test_packages_that_another_client_staged_come_along_to_the_other_os():
    theirs = staged(on_default(requested=("htop",)), locked=False)
    asked = asking(REALTIME, on_default(), offer(NEXT), NEXT_RT)
    plan = make_plan(replace(asked, deployments=replace(asked.deployments, all=(theirs, on_default()))))
    assert isinstance(plan, Change)
    assert plan.steps == (
        Assembly(install=NEXT_RT.packages, remove=NEXT.names, rebase=replace(REBASE, repositories=True)),
    )
    assert (plan.on_staged, plan.shape.requested) == (True, ("htop",))
