"""Did it come up? What is said of each way a reboot can end (promise 8)."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt, Phase
from mcd_rt.plan.verification import CameUp, DidNotComeUp, Overtaken, Verdict, judge_boot, judge_running
from tests.unit.nodes import (
    ARM,
    ARM_64K,
    EARLIER_BOOT,
    EL9,
    EL9_RT,
    EL9_RT_OLD,
    attempt_of,
    host,
    on_default,
    on_flavor,
    target_of,
)

RT = target_of(EL9, EL9_RT)
DEFAULT = target_of(EL9)
NEW_RT = on_flavor(EL9, EL9_RT, id="rhcos-staged.1")
OLD_DEFAULT = on_default(id="rhcos-old.0", booted=False)


def rebooted(
    target: Target, *deployments: Deployment, phase: Phase = Phase.REBOOTING, runs: Host | None = None
) -> Verdict:
    attempt: Attempt = attempt_of(target, phase=phase, boot_id=EARLIER_BOOT)
    there = Deployments(deployments)
    booted = there.booted
    return judge_boot(attempt, there, runs or host(booted.kernel_release if booted else ""))


def why(verdict: Verdict) -> tuple[Code, str]:
    assert isinstance(verdict, DidNotComeUp), verdict
    assert verdict.reason.hint
    return verdict.reason.code, verdict.reason.message


@pytest.mark.parametrize("phase", list(Phase))
def test_a_target_that_runs_came_up_however_far_the_record_was(phase):
    assert rebooted(RT, NEW_RT, OLD_DEFAULT, phase=phase) == CameUp(RT)


def test_the_default_kernel_came_up():
    booted = on_default(id="rhcos-staged.1", removals=("kernel-modules-extra",))
    assert rebooted(DEFAULT, booted, on_flavor(EL9, EL9_RT, booted=False)) == CameUp(DEFAULT)


def test_another_flavor_came_up():
    target = target_of(ARM, ARM_64K, KernelType.PAGES_64K)
    assert rebooted(target, on_flavor(ARM, ARM_64K)) == CameUp(target)


def test_a_target_of_unknown_release_came_up_when_its_kind_of_kernel_runs():
    target = replace(DEFAULT, kernel_release="")
    assert rebooted(target, on_default(), runs=host("5.14.0-999.x86_64")) == CameUp(target)


def test_a_realtime_base_of_its_own_came_up():
    own = Target(KernelType.REALTIME, on_default().base_checksum, "", EL9_RT.nevras, "")
    assert rebooted(own, on_default(), runs=host(EL9_RT.uname)) == CameUp(own)


def test_a_target_with_something_of_others_on_top_came_up_though_the_checksum_differs():
    booted = replace(
        NEW_RT,
        id="rhcos-another.0",
        checksum="d" * 64,
        requested=("htop",),
        local=(*EL9_RT.nevras, Nevra.parse("htop-3.2.1-1.el9.x86_64")),
        removals=(*EL9.names, "moby-engine"),
    )
    assert rebooted(RT, booted, OLD_DEFAULT) == CameUp(RT)


def test_a_staged_target_that_was_dropped_by_the_shutdown_was_not_finalized():
    code, message = why(rebooted(RT, on_default()))
    assert code is Code.NOT_FINALIZED
    assert "rhcos-default.0 was booted" in message


def test_a_staged_default_kernel_was_not_finalized_though_an_old_one_is_still_there():
    code, _ = why(rebooted(DEFAULT, on_flavor(EL9, EL9_RT), OLD_DEFAULT))
    assert code is Code.NOT_FINALIZED


@pytest.mark.parametrize(
    ("target", "booted", "written"),
    [
        pytest.param(RT, on_default(), replace(NEW_RT, booted=False), id="of realtime"),
        pytest.param(DEFAULT, on_flavor(EL9, EL9_RT), on_default(id="rhcos-staged.1", booted=False), id="of default"),
    ],
)
def test_a_target_that_was_written_but_not_booted_was_rolled_back(target, booted, written):
    code, message = why(rebooted(target, written, booted))
    assert code is Code.ROLLED_BACK
    assert f"but {booted.id} was booted" in message


@pytest.mark.parametrize("runs", [EL9.uname, EL9_RT_OLD.uname])
def test_a_target_that_is_booted_with_another_kernel_did_not_come_up(runs):
    code, message = why(rebooted(RT, NEW_RT, runs=host(runs)))
    assert code is Code.VERIFICATION_FAILED
    assert runs in message


@pytest.mark.parametrize("phase", [Phase.STAGING, Phase.STAGED])
def test_a_reboot_before_ours_overtook_the_change(phase):
    assert rebooted(RT, on_default(), phase=phase) == Overtaken()


@pytest.mark.parametrize(
    "booted",
    [
        pytest.param(on_flavor(EL9, EL9_RT_OLD), id="other packages"),
        pytest.param(on_flavor(EL9, EL9_RT, base_checksum="c" * 64), id="another base"),
        pytest.param(on_default(), id="no packages"),
    ],
)
def test_a_boot_without_the_target_is_no_success_even_when_its_kernel_would_do(booted):
    assert why(rebooted(RT, booted, runs=host(EL9_RT.uname)))[0] is Code.NOT_FINALIZED


def test_a_boot_into_a_flavor_is_not_the_default_one():
    layered = on_flavor(EL9, EL9_RT, local=(), requested=("kernel-rt-core",))
    assert why(rebooted(DEFAULT, layered, runs=host()))[0] is Code.NOT_FINALIZED


def test_a_boot_outside_of_any_deployment_is_told():
    code, message = why(rebooted(RT, OLD_DEFAULT))
    assert code is Code.NOT_FINALIZED
    assert "no deployment was booted" in message


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        (RT, host(EL9_RT.uname)),
        (DEFAULT, host()),
        (replace(RT, kernel_release=""), host(EL9_RT_OLD.uname)),
        (target_of(ARM, ARM_64K, KernelType.PAGES_64K), host(ARM_64K.uname)),
    ],
)
def test_the_running_kernel_is_the_targets(target, runs):
    assert judge_running(target, runs) is None


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        pytest.param(RT, host(), id="another release"),
        pytest.param(RT, host(EL9_RT.uname, realtime=False), id="the release, but not real-time"),
        pytest.param(DEFAULT, host(EL9.uname, realtime=True), id="the release, but real-time"),
        pytest.param(replace(RT, kernel_release=""), host(), id="not real-time, release unknown"),
        pytest.param(replace(DEFAULT, kernel_release=""), host(EL9_RT.uname), id="real-time, release unknown"),
    ],
)
def test_the_running_kernel_is_not_the_targets(target, runs):
    failure = judge_running(target, runs)
    assert failure is not None
    assert failure.code is Code.VERIFICATION_FAILED
    assert runs.kernel_release in failure.message
