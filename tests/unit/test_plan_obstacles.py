"""What keeps a plan from changing anything, and what is then said: wait, ignore, refuse (promise 4)."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import (
    ArgumentsChange,
    Assembly,
    Change,
    Ignored,
    NeedsBase,
    NeedsContent,
    Refused,
    Steady,
    Waiting,
)
from mcd_rt.model.settings import OsSettings, PolicySettings, Settings
from mcd_rt.plan.images import named_images
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.situation import Base, Situation
from tests.unit.nodes import (
    ARM,
    ARM_64K,
    ARM_RT,
    EL8_RT,
    EL9,
    EL9_RT,
    EL9_RT_OLD,
    IMAGE,
    OTHER_IMAGE,
    base_of,
    content,
    desired,
    host,
    on_default,
    on_flavor,
    situation,
    target_of,
    verified,
)

UNKNOWN_ALLOWED = Settings(os=OsSettings(accept_unknown_base=True))


def asking(os_image: str, **given: object) -> Situation:
    return situation(KernelType.REALTIME, on_default(), **{"desired": desired(os_image=os_image), **given})


def refused(asked: Situation) -> tuple[Code, str]:
    plan = make_plan(asked)
    assert isinstance(plan, Refused), plan
    assert plan.reason.hint
    return plan.reason.code, plan.reason.message


def test_realtime_without_an_image_to_take_it_from_waits():
    plan = make_plan(asking(""))
    assert isinstance(plan, Waiting)
    assert plan.reason.code is Code.IMAGE_MISSING
    assert "rendered-worker-1" in plan.reason.message


def test_the_default_kernel_needs_no_image():
    asked = situation(KernelType.DEFAULT, on_flavor(EL9, EL9_RT), desired=desired(KernelType.DEFAULT, os_image=""))
    assert isinstance(make_plan(asked), Change)


@pytest.mark.parametrize("reference", ["registry.example/os", "registry.example/os:4.16", "oci:/srv/image:latest"])
def test_an_image_without_a_digest_is_refused(reference):
    code, message = refused(asking(reference))
    assert code is Code.IMAGE_NOT_PINNED
    assert reference in message


def test_a_reference_that_is_none_is_refused_with_what_is_wrong_with_it():
    code, message = refused(asking("registry.example/os@sha256:abc"))
    assert code is Code.CONFIG_INVALID
    assert message.startswith("osImageURL of rendered-worker-1: the digest must be")


def test_a_base_of_another_image_is_waited_for():
    plan = make_plan(situation(KernelType.REALTIME, on_default(image_digest=OTHER_IMAGE)))
    assert isinstance(plan, Waiting)
    assert plan.reason.code is Code.WAITING_FOR_BASE
    assert OTHER_IMAGE in plan.reason.message


def test_a_realtime_node_waits_for_the_base_with_what_it_runs():
    running = on_flavor(EL9, EL9_RT, image_digest=OTHER_IMAGE)
    asked = situation(KernelType.REALTIME, running, record=verified(target_of(EL9, EL9_RT)))
    assert isinstance(make_plan(asked), Waiting)


@pytest.mark.parametrize(("version", "named"), [("416.94", "416.94"), ("", base_of(EL9).checksum[:12])])
def test_a_base_of_unknown_origin_is_refused_and_named(version, named):
    code, message = refused(situation(KernelType.REALTIME, on_default(image_digest="", version=version)))
    assert code is Code.BASE_UNKNOWN
    assert named in message


def test_a_base_of_unknown_origin_is_taken_when_told_so():
    asked = situation(KernelType.REALTIME, on_default(image_digest=""), settings=UNKNOWN_ALLOWED)
    assert isinstance(make_plan(asked), NeedsContent)


def test_accepting_an_unknown_base_does_not_accept_a_wrong_one():
    asked = situation(KernelType.REALTIME, on_default(image_digest=OTHER_IMAGE), settings=UNKNOWN_ALLOWED)
    assert isinstance(make_plan(asked), Waiting)


def test_an_image_without_the_kernel_is_ignored():
    asked = situation(KernelType.REALTIME, on_default(), base=base_of(EL9), content=content(EL9.only("core")))
    plan = make_plan(asked)
    assert isinstance(plan, Ignored)
    assert plan.reason.code is Code.IMAGE_WITHOUT_KERNEL


@pytest.mark.parametrize(
    ("kernels", "code"),
    [
        pytest.param((EL9_RT.only("core"),), Code.PACKAGES_INCOMPLETE, id="incomplete"),
        pytest.param((EL9_RT, EL9_RT_OLD), Code.PACKAGES_AMBIGUOUS, id="two versions"),
        pytest.param((ARM_RT,), Code.PACKAGE_WRONG_ARCHITECTURE, id="of another architecture"),
    ],
)
def test_packages_that_do_not_make_a_kernel_are_refused(kernels, code):
    asked = situation(KernelType.REALTIME, on_default(), base=base_of(EL9), content=content(*kernels))
    assert refused(asked)[0] is code


def test_a_kernel_type_that_the_architecture_does_not_have_is_refused():
    code, message = refused(situation(KernelType.PAGES_64K, on_default()))
    assert code is Code.ARCHITECTURE_UNSUPPORTED
    assert message == "64k-pages does not exist for x86_64"


@pytest.mark.parametrize("kernel_type", [KernelType.DEFAULT, KernelType.REALTIME])
@pytest.mark.parametrize(
    ("there", "named"),
    [
        pytest.param(
            on_default(replacements=("kernel-core-5.14.0-285.el9_2.x86_64", "podman-2:4.4.2-1.el9.x86_64")),
            "kernel-core-5.14.0-285.el9_2.x86_64",
            id="replaced",
        ),
        pytest.param(on_default(replacements=("kernel-core",)), "kernel-core", id="replaced, in an unknown form"),
        pytest.param(
            on_default(removals=EL9.names, local=(Nevra.parse("kernel-lt-5.4.200-1.el9.x86_64"),)),
            "kernel-core (removed)",
            id="removed for a kernel that no flavor has",
        ),
    ],
)
def test_a_kernel_that_an_admin_replaced_is_left_alone(kernel_type, there, named):
    asked = situation(kernel_type, there, base=base_of(EL9), content=content(EL9_RT))
    code, message = refused(asked)
    assert code is Code.KERNEL_OVERRIDDEN
    assert message == f"an administrator replaced the kernel: {named}"


OWN_RT = replace(EL9_RT, release="284.rt14.300.el9_2")


@pytest.mark.parametrize("release", [OWN_RT.uname, ""])
def test_realtime_that_the_base_itself_brings_is_nothing_to_do_whatever_the_image_has(release):
    running = on_default(OWN_RT, kernel_release=release)
    plan = make_plan(situation(KernelType.REALTIME, running, host=host(OWN_RT.uname)))
    assert isinstance(plan, Steady)
    assert plan.summary == f"realtime is wanted and runs ({OWN_RT.uname})"


def left_on_a_base_that_brings_realtime(**given: object) -> Situation:
    """Others have brought a base with the very kernel that we had layered, and left our requests."""
    there = on_flavor(EL9, EL9_RT)
    base = Base(there.base_checksum, EL9_RT.nevras)
    return situation(KernelType.REALTIME, there, base=base, content=content(EL9_RT), **given)


def test_what_is_left_of_ours_on_a_base_that_brings_the_kernel_is_worth_no_reboot():
    plan = make_plan(left_on_a_base_that_brings_realtime())
    assert isinstance(plan, Steady)
    assert plan.summary.startswith(f"realtime is wanted and runs ({EL9_RT.uname}); ")
    assert plan.summary.endswith(f"{EL9_RT.nevras[-1]}: the base brings it, ours goes with the next change")


def test_what_is_left_of_ours_goes_with_the_next_change():
    asked = left_on_a_base_that_brings_realtime()
    plan = make_plan(replace(asked, desired=replace(asked.desired, kernel_arguments=("nosmt",))))
    assert isinstance(plan, Change)
    assert plan.steps == (
        Assembly(uninstall=tuple(map(str, EL9_RT.nevras)), reset=EL9.names),
        ArgumentsChange((), add=("nosmt",), remove=()),
    )


def test_realtime_that_the_next_base_itself_brings_is_left_to_its_client():
    pending = on_default(OWN_RT, booted=False, staged=True, id="rhcos-next.0")
    asked = situation(KernelType.REALTIME, pending, on_default(), base=base_of(OWN_RT), content=content(EL9_RT))
    plan = make_plan(asked)
    assert isinstance(plan, Steady)
    assert "rhcos-next.0, which is not ours" in plan.summary


def test_the_default_kernel_on_a_base_that_brings_realtime_is_refused():
    code, _ = refused(situation(KernelType.DEFAULT, on_default(OWN_RT)))
    assert code is Code.BASE_HAS_KERNEL


def test_a_flavor_on_a_base_that_brings_another_one_is_refused():
    asked = situation(KernelType.REALTIME, on_default(ARM_64K), base=base_of(ARM_64K), content=content(ARM_RT))
    code, message = refused(asked)
    assert code is Code.BASE_HAS_KERNEL
    assert "kernel-64k-core" in message


@pytest.mark.parametrize(
    ("there", "kernel_type", "runs"),
    [
        pytest.param(on_flavor(EL9, EL9_RT), KernelType.REALTIME, EL9.uname, id="default instead of realtime"),
        pytest.param(on_flavor(EL9, EL9_RT), KernelType.REALTIME, EL8_RT.uname, id="another realtime"),
        pytest.param(on_default(), KernelType.DEFAULT, EL9_RT.uname, id="realtime instead of default"),
        pytest.param(on_default(), KernelType.DEFAULT, "5.14.0-1.el9_0.x86_64", id="another default"),
    ],
)
def test_a_kernel_that_is_not_that_of_the_booted_deployment_is_refused_not_rebooted(there, kernel_type, runs):
    record = verified(target_of(EL9, EL9_RT))
    code, message = refused(situation(kernel_type, there, host=host(runs), record=record))
    assert code is Code.VERIFICATION_FAILED
    assert runs in message


def test_another_flavor_than_the_running_one_is_asked_of_the_image():
    asked = situation(KernelType.REALTIME, on_flavor(ARM, ARM_64K))
    assert isinstance(make_plan(asked), NeedsContent)


@pytest.mark.parametrize(("asked", "running"), [(True, False), (False, True)])
@pytest.mark.parametrize("kernel_type", [KernelType.DEFAULT, KernelType.REALTIME])
def test_a_config_for_another_fips_mode_is_refused(kernel_type, asked, running):
    config = desired(kernel_type, fips=asked)
    code, message = refused(situation(kernel_type, on_default(), desired=config, host=host(fips=running)))
    assert code is Code.FIPS_MISMATCH
    assert message.startswith(f"rendered-worker-1 says fips: {str(asked).lower()}, the running kernel is ")
    assert ("is not in FIPS mode" in message) is not running


@pytest.mark.parametrize("asked", [True, None])
def test_a_fips_node_may_have_realtime_unless_that_is_refused(asked):
    there = situation(
        KernelType.REALTIME,
        on_default(),
        desired=desired(fips=asked),
        host=host(fips=True),
        base=base_of(EL9),
        content=content(EL9_RT),
    )
    assert isinstance(make_plan(there), Change)
    refusing = replace(there, settings=Settings(policy=PolicySettings(fips="refuse")))
    code, message = refused(refusing)
    assert code is Code.FIPS_REFUSED
    assert message == "realtime is asked for, and this node is in FIPS mode"


def test_refusing_realtime_in_fips_mode_refuses_nothing_else():
    refusing = Settings(policy=PolicySettings(fips="refuse"))
    arm = situation(
        KernelType.PAGES_64K,
        on_default(ARM),
        desired=desired(KernelType.PAGES_64K, fips=True),
        host=host(ARM.uname, fips=True),
        settings=refusing,
        base=base_of(ARM),
        content=content(ARM_64K),
    )
    assert isinstance(make_plan(arm), Change)
    default = situation(
        KernelType.DEFAULT,
        on_default(),
        desired=desired(KernelType.DEFAULT, fips=True),
        host=host(fips=True),
        settings=refusing,
    )
    assert isinstance(make_plan(default), Steady)
    assert isinstance(make_plan(situation(KernelType.REALTIME, on_default(), settings=refusing)), NeedsContent), (
        "a node that is not in FIPS mode"
    )


LOCKED = "LockLayering is set in /etc/rpm-ostreed.conf"


@pytest.mark.parametrize(
    ("kernel_type", "there"),
    [(KernelType.REALTIME, on_default()), (KernelType.DEFAULT, on_flavor(EL9, EL9_RT))],
    ids=["to realtime", "to default"],
)
def test_packages_are_not_changed_where_layering_is_locked(kernel_type, there):
    locked = host(there.kernel_release, layering_locked=LOCKED)
    asked = situation(kernel_type, there, host=locked, base=base_of(EL9), content=content(EL9_RT))
    code, message = refused(asked)
    assert code is Code.LAYERING_LOCKED
    assert message == f"{kernel_type} needs other packages on this host, and {LOCKED}"


def test_a_node_that_runs_what_is_wanted_is_steady_where_layering_is_locked():
    there = on_flavor(EL9, EL9_RT)
    locked = host(EL9_RT.uname, layering_locked=LOCKED)
    record = verified(target_of(EL9, EL9_RT))
    assert isinstance(make_plan(situation(KernelType.REALTIME, there, host=locked, record=record)), Steady)


def test_the_images_of_a_config_are_those_that_can_be_read():
    both = desired(os_image="registry.example/os:4.16", extensions_image=f"registry.example/extensions@{IMAGE}")
    assert named_images(both) == (
        ImageReference("registry.example/os", "4.16", "", layout=False),
        ImageReference("registry.example/extensions", "", IMAGE, layout=False),
    )
    assert named_images(replace(both, os_image="registry.example/os@sha256:abc", extensions_image="")) == ()


def test_a_base_that_another_client_put_first_and_that_brings_the_kernel_itself_needs_no_packages():
    pending = on_default(OWN_RT, booted=False, id="rhcos-next.0")
    asked = situation(KernelType.REALTIME, pending, on_default(), content=content())
    assert make_plan(asked) == NeedsBase(base_of(OWN_RT).checksum)
    assert isinstance(make_plan(replace(asked, base=base_of(OWN_RT))), Steady)
    plain = replace(pending, base_checksum=base_of(EL9).checksum)
    there = replace(asked.deployments, all=(plain, on_default()))
    assert isinstance(make_plan(replace(asked, deployments=there, base=base_of(EL9))), Ignored)
