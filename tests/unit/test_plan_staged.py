"""What a plan says when something is staged: ours, another client's, or ours upon another client's (promise 5)."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Assembly, Change, Discard, NeedsContent, Reboot, Refused, Steady, Target
from mcd_rt.model.record import Phase, Record
from mcd_rt.model.settings import RebootSettings, Settings
from mcd_rt.plan.ownership import is_ours
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.situation import Situation
from tests.unit.nodes import (
    EARLIER_BOOT,
    EL9,
    EL9_RT,
    EL9_RT_OLD,
    OTHER_IMAGE,
    attempt_of,
    base_of,
    content,
    desired,
    host,
    on_default,
    on_flavor,
    situation,
    staged,
    target_of,
    verified,
)

HTOP = Nevra.parse("htop-3.2.1-1.el9.x86_64")
RT = target_of(EL9, EL9_RT)
DEFAULT = target_of(EL9)
OUR_RT = staged(on_flavor(EL9, EL9_RT))
LEFT_TO_OTHERS = Settings(reboot=RebootSettings(strategy="sentinel"))


def with_staged(wanted: KernelType, there: Deployment, target: Target | None = None, **changes: object) -> Situation:
    """A node on the default kernel with something staged; ``target`` is what the record says we staged."""
    attempt = attempt_of(target, **changes) if target is not None else None
    return situation(
        wanted,
        there,
        on_default(),
        record=Record(attempt=attempt),
        base=base_of(EL9),
        content=content(EL9_RT),
    )


@pytest.mark.parametrize("locked", [True, False])
def test_our_staged_target_is_rebooted_into(locked):
    plan = make_plan(with_staged(KernelType.REALTIME, replace(OUR_RT, locked=locked), RT))
    assert plan == Reboot("rhcos-staged.1", base_of(EL9).checksum, locked, on_staged=False, target=RT)


def test_what_was_begun_in_this_boot_is_ours_under_whatever_name():
    asked = with_staged(KernelType.REALTIME, OUR_RT, RT, deployment_id="")
    assert is_ours(asked, OUR_RT)
    assert isinstance(make_plan(asked), Reboot)


def test_where_others_reboot_nothing_stays_locked():
    asked = with_staged(KernelType.REALTIME, replace(OUR_RT, locked=True), RT)
    assert make_plan(replace(asked, settings=LEFT_TO_OTHERS)) == Discard(
        OUR_RT.id, "it is locked, and reboot.strategy leaves the reboot to others"
    )


def test_what_is_not_locked_and_of_no_target_of_ours_is_anothers_also_where_others_reboot():
    there = replace(OUR_RT, locked=False)
    asked = replace(with_staged(KernelType.REALTIME, there), settings=LEFT_TO_OTHERS)
    assert not is_ours(asked, there)
    assert is_ours(replace(asked, record=Record(attempt=attempt_of(RT, deployment_id=""))), there)


def test_our_staged_default_kernel_is_rebooted_into():
    asked = situation(
        KernelType.DEFAULT,
        staged(on_default()),
        on_flavor(EL9, EL9_RT),
        record=Record(attempt=attempt_of(DEFAULT)),
    )
    plan = make_plan(asked)
    assert plan == Reboot("rhcos-staged.1", base_of(EL9).checksum, locked=True, on_staged=False, target=DEFAULT)


def test_our_staged_target_that_is_not_wanted_any_more_is_dropped():
    plan = make_plan(with_staged(KernelType.DEFAULT, OUR_RT, RT))
    assert isinstance(plan, Discard)
    assert plan.deployment_id == OUR_RT.id


@pytest.mark.parametrize(
    "os_image",
    [
        pytest.param("", id="waiting for an image"),
        pytest.param(f"registry.example/os@{OTHER_IMAGE}", id="waiting for a base"),
        pytest.param("registry.example/os:4.16", id="not pinned"),
    ],
)
def test_what_we_staged_is_dropped_when_the_config_stops_allowing_it(os_image):
    asked = replace(with_staged(KernelType.REALTIME, OUR_RT, RT), desired=desired(os_image=os_image))
    assert isinstance(make_plan(asked), Discard)


def test_what_we_staged_is_dropped_when_the_image_turns_out_to_have_no_kernel():
    asked = replace(with_staged(KernelType.REALTIME, OUR_RT, RT), content=content(EL9.only("core")))
    assert isinstance(make_plan(asked), Discard)


def test_what_we_staged_half_is_dropped_and_begun_anew():
    half = staged(on_flavor(EL9, EL9_RT.only("core", "modules", "modules-core")))
    assert isinstance(make_plan(with_staged(KernelType.REALTIME, half, RT)), Discard)


def test_what_we_staged_waits_while_the_image_is_looked_at():
    asked = replace(with_staged(KernelType.REALTIME, OUR_RT, RT), content=None)
    assert isinstance(make_plan(asked), NeedsContent)


def test_a_record_of_an_earlier_boot_does_not_make_a_staged_deployment_ours():
    asked = with_staged(KernelType.REALTIME, OUR_RT, RT, boot_id=EARLIER_BOOT)
    assert not is_ours(asked, OUR_RT)


@pytest.mark.parametrize("target", [None, DEFAULT], ids=["lost", "of another change"])
def test_a_locked_pure_kernel_swap_is_adopted_without_its_record(target):
    asked = with_staged(KernelType.REALTIME, OUR_RT, target, deployment_id="")
    assert isinstance(make_plan(asked), Reboot)


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(replace(OUR_RT, local=(HTOP, *EL9_RT.nevras)), id="with a package more"),
        pytest.param(replace(OUR_RT, image_digest=OTHER_IMAGE), id="on another base"),
        pytest.param(staged(on_default()), id="with the same kernel"),
        pytest.param(staged(on_default(requested=("htop",))), id="with a package only"),
    ],
)
def test_a_locked_deployment_that_is_more_or_less_than_a_kernel_swap_is_another_clients(there):
    for wanted in (KernelType.REALTIME, KernelType.DEFAULT):
        plan = make_plan(with_staged(wanted, there))
        assert isinstance(plan, Refused)
        assert plan.reason.code is Code.STAGED_BY_ANOTHER
        assert there.id in plan.reason.message


def test_nothing_is_adopted_outside_a_booted_system():
    asked = with_staged(KernelType.REALTIME, OUR_RT)
    assert not is_ours(replace(asked, deployments=Deployments((OUR_RT,))), OUR_RT)


def test_a_staged_deployment_whose_record_a_crash_left_open_is_ours_with_what_was_in_it():
    upon = staged(on_flavor(EL9, EL9_RT, requested=("htop",)))
    opened = {"deployment_id": "", "phase": Phase.STAGING, "on_staged": True}
    plan = make_plan(with_staged(KernelType.REALTIME, upon, RT, **opened))
    assert plan == Reboot("rhcos-staged.1", base_of(EL9).checksum, locked=True, on_staged=True, target=RT)


def test_a_package_that_an_admin_puts_on_our_locked_target_is_not_dropped_with_it():
    upon = staged(on_flavor(EL9, EL9_RT, requested=("htop",)), id="rhcos-staged.2")
    assert isinstance(make_plan(with_staged(KernelType.REALTIME, upon, RT)), Reboot)
    back = make_plan(with_staged(KernelType.DEFAULT, upon, RT))
    assert isinstance(back, Change)
    assert (back.on_staged, back.shape.requested) == (True, ("htop",))


def test_unlocked_work_of_another_client_is_built_upon():
    foreign = staged(on_default(requested=("htop",)), locked=False)
    plan = make_plan(with_staged(KernelType.REALTIME, foreign))
    assert isinstance(plan, Change)
    assert (plan.merge_id, plan.on_staged) == (foreign.id, True)
    assert plan.steps[0] == Assembly(install=EL9_RT.packages, remove=EL9.names)
    assert plan.shape.requested == ("htop",)
    assert plan.kept == ("htop",)


def test_unlocked_work_of_another_client_that_is_as_wanted_is_left_to_it():
    foreign = staged(on_default(requested=("htop",)), locked=False)
    plan = make_plan(with_staged(KernelType.DEFAULT, foreign))
    assert plan == Steady("default is wanted; rhcos-staged.1, which is not ours, brings it with the next boot")


def test_an_unlocked_kernel_swap_is_another_clients():
    foreign = replace(OUR_RT, locked=False)
    assert isinstance(make_plan(with_staged(KernelType.REALTIME, foreign)), Steady)
    refused = make_plan(with_staged(KernelType.DEFAULT, foreign))
    assert isinstance(refused, Refused)
    assert refused.reason.code is Code.STAGED_BY_ANOTHER


def test_what_we_built_upon_another_clients_work_is_rebooted_into_whole():
    upon = staged(on_flavor(EL9, EL9_RT, requested=("htop",)))
    plan = make_plan(with_staged(KernelType.REALTIME, upon, RT, on_staged=True))
    assert plan == Reboot("rhcos-staged.1", base_of(EL9).checksum, locked=True, on_staged=True, target=RT)


def test_what_we_built_upon_another_clients_work_is_undone_not_dropped():
    upon = staged(on_flavor(EL9, EL9_RT, requested=("htop",)))
    plan = make_plan(with_staged(KernelType.DEFAULT, upon, RT, on_staged=True))
    assert isinstance(plan, Change)
    assert plan.steps[0] == Assembly(uninstall=tuple(map(str, EL9_RT.nevras)), reset=EL9.names)
    assert plan.shape.requested == ("htop",)
    assert plan.on_staged, "it still holds the other client's work"


def test_what_an_admin_rolled_back_to_is_built_upon_as_another_clients_work():
    pending = on_default(id="rhcos-rollback.0", booted=False)
    asked = situation(
        KernelType.REALTIME, pending, on_flavor(EL9, EL9_RT_OLD), base=base_of(EL9), content=content(EL9_RT)
    )
    plan = make_plan(asked)
    assert isinstance(plan, Change)
    assert plan.on_staged, "dropping ours with `cleanup -p` would drop the rollback, too"


def test_another_clients_work_that_takes_the_base_elsewhere_is_waited_for():
    foreign = staged(on_default(image_digest=OTHER_IMAGE), locked=False)
    plan = make_plan(with_staged(KernelType.REALTIME, foreign))
    assert not isinstance(plan, Change | Discard | Reboot)


def test_another_clients_locked_realtime_of_an_other_version_is_not_touched():
    foreign = staged(on_flavor(EL9, EL9_RT_OLD, local=(HTOP, *EL9_RT_OLD.nevras)))
    plan = make_plan(with_staged(KernelType.REALTIME, foreign))
    assert isinstance(plan, Refused)


def test_the_architecture_still_counts_for_what_is_staged():
    asked = replace(with_staged(KernelType.REALTIME, OUR_RT, RT), host=host(architecture="s390x"))
    assert isinstance(make_plan(asked), Discard)


def test_what_ran_before_and_is_first_to_boot_is_not_taken_for_running():
    pending = replace(on_flavor(EL9, EL9_RT), id="rhcos-pending.1", booted=False)
    there = situation(
        KernelType.REALTIME,
        pending,
        on_default(),
        record=verified(target_of(EL9, EL9_RT)),
        base=base_of(EL9),
        content=content(EL9_RT),
    )
    plan = make_plan(there)
    assert isinstance(plan, Refused)
    assert plan.reason.code is Code.BOOTED_ANOTHER
    assert pending.id in plan.reason.message
    assert on_default().id in plan.reason.message
    assert "systemctl reboot" in plan.reason.hint
    other = replace(there, record=verified(target_of(EL9)))
    assert isinstance(make_plan(other), Steady), "it never ran"


def test_what_was_rolled_back_from_is_not_booted_into_again_by_itself():
    pending = replace(on_flavor(EL9, EL9_RT), id="rhcos-pending.1", booted=False)
    failure = Failure(Code.ROLLED_BACK, "it was written, but the old one was booted")
    there = situation(
        KernelType.REALTIME,
        pending,
        on_default(),
        record=Record(failure=failure),
        base=base_of(EL9),
        content=content(EL9_RT),
    )
    assert make_plan(there) == Refused(failure)
    assert isinstance(make_plan(replace(there, record=Record())), Steady)
    other = Failure(Code.NOT_FINALIZED, "something else, earlier")
    assert isinstance(make_plan(replace(there, record=Record(failure=other))), Steady)
