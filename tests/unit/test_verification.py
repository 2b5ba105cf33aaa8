"""Did it come up? What is said of each way a reboot can end (promise 8)."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import OwnArguments, Target
from mcd_rt.model.record import Attempt, Phase, Record
from mcd_rt.plan.verification import (
    CameUp,
    DidNotComeUp,
    Overtaken,
    Verdict,
    arguments_of_boot,
    judge_boot,
    judge_running,
)
from tests.unit.nodes import (
    ARM,
    ARM_64K,
    EARLIER_BOOT,
    EL9,
    EL9_RT,
    EL9_RT_OLD,
    OTHER_IMAGE,
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
    own = Target(KernelType.REALTIME, on_default().base, "", EL9_RT.nevras, "")
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
def test_a_target_that_was_written_but_not_booted_is_told_with_what_was(target, booted, written):
    code, message = why(rebooted(target, written, booted))
    assert code is Code.BOOTED_ANOTHER
    assert f"but {booted.id} was booted" in message


@pytest.mark.parametrize("runs", [EL9.uname, EL9_RT_OLD.uname])
def test_a_target_that_is_booted_with_another_kernel_did_not_come_up(runs):
    code, message = why(rebooted(RT, NEW_RT, runs=host(runs)))
    assert code is Code.VERIFICATION_FAILED
    assert runs in message


@pytest.mark.parametrize("phase", [Phase.STAGING, Phase.STAGED])
def test_a_reboot_before_ours_overtook_the_change(phase):
    assert rebooted(RT, on_default(), phase=phase) == Overtaken()


@pytest.mark.parametrize("phase", [Phase.ASKED, Phase.REBOOTING])
def test_a_reboot_that_was_asked_for_is_judged_whoever_was_asked(phase):
    assert isinstance(rebooted(RT, on_default(), phase=phase), DidNotComeUp)
    assert rebooted(RT, on_flavor(EL9, EL9_RT), phase=phase, runs=host(EL9_RT.uname)) == CameUp(RT)


@pytest.mark.parametrize(
    "booted",
    [
        pytest.param(on_flavor(EL9, EL9_RT_OLD), id="other packages"),
        pytest.param(on_flavor(EL9, EL9_RT, image_digest=OTHER_IMAGE), id="another base"),
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


WITH_ARGUMENTS = replace(DEFAULT, kernel_arguments=("nosmt", 'dyndbg="file a.c +p"'))
CMDLINE = ("BOOT_IMAGE=(hd0)/vmlinuz", "rw", "nosmt", '"dyndbg=file a.c +p"')


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        pytest.param(CMDLINE, "", id="quoted by the boot loader"),
        pytest.param(CMDLINE[:2], "nosmt dyndbg=file a.c +p", id="all missing"),
        pytest.param(CMDLINE[:3], "dyndbg=file a.c +p", id="one missing"),
    ],
)
def test_the_running_kernel_was_given_the_arguments_of_the_target(arguments, missing):
    failure = judge_running(WITH_ARGUMENTS, host(kernel_arguments=arguments))
    if not missing:
        assert failure is None
        return
    assert failure is not None
    assert failure.code is Code.VERIFICATION_FAILED
    assert failure.message == f"the running kernel was not given {missing} (/proc/cmdline)"


def test_a_staged_deployment_that_booted_without_its_arguments_did_not_come_up():
    booted = on_default(id="rhcos-staged.1")
    code, message = why(rebooted(WITH_ARGUMENTS, booted, runs=host(kernel_arguments=CMDLINE[:3])))
    assert code is Code.VERIFICATION_FAILED
    assert "was not given dyndbg" in message


CHANGED = OwnArguments(ours=("nosmt",), gone=("quiet",))
ONLY_ARGUMENTS = replace(DEFAULT, kernel_arguments=("nosmt",))


def arguments_changed(*running: str, phase: Phase = Phase.REBOOTING) -> Verdict:
    """A change of arguments alone was asked for, and a deployment of the same packages with another id booted."""
    attempt = attempt_of(ONLY_ARGUMENTS, phase=phase, boot_id=EARLIER_BOOT, arguments=CHANGED)
    return judge_boot(attempt, Deployments((on_default(),)), host(kernel_arguments=running))


def test_a_change_of_arguments_alone_is_told_by_the_arguments():
    assert arguments_changed("rw", "nosmt") == CameUp(ONLY_ARGUMENTS)
    assert arguments_changed("rw", "nosmt", phase=Phase.STAGED) == CameUp(ONLY_ARGUMENTS)


@pytest.mark.parametrize("running", [("rw", "quiet"), ("rw", "nosmt", "quiet"), ("rw",)])
def test_arguments_that_are_not_there_or_not_gone_tell_that_it_was_not_finalized(running):
    assert why(arguments_changed(*running))[0] is Code.NOT_FINALIZED
    assert arguments_changed(*running, phase=Phase.STAGED) == Overtaken()


@pytest.mark.parametrize(("running", "came_up"), [(("rw", "nosmt"), True), (("rw", "nosmt", "nosmt"), False)])
def test_an_argument_that_should_be_there_less_often_tells_by_how_often_it_is(running, came_up):
    fewer = OwnArguments(ours=("nosmt",), gone=("nosmt", "nosmt"))
    attempt = attempt_of(ONLY_ARGUMENTS, phase=Phase.STAGED, boot_id=EARLIER_BOOT, arguments=fewer)
    verdict = judge_boot(attempt, Deployments((on_default(),)), host(kernel_arguments=running))
    assert verdict == (CameUp(ONLY_ARGUMENTS) if came_up else Overtaken())


@pytest.mark.parametrize(
    ("booted", "runs", "current", "ours"),
    [
        pytest.param("rhcos-staged.1", ("nosmt",), ("rw", "nosmt"), ("nosmt",), id="the staged one"),
        pytest.param("rhcos-upon.1", ("nosmt",), ("rw", "nosmt"), ("nosmt",), id="one made from it"),
        pytest.param("rhcos-staged.1", (), ("rw",), (), id="the staged one, and an admin took it out"),
        pytest.param("rhcos-old.0", ("quiet",), ("rw", "quiet"), ("quiet",), id="the old one"),
        pytest.param("rhcos-old.0", (), ("rw",), (), id="another one that never had any of ours"),
    ],
)
def test_which_arguments_are_ours_after_a_boot(booted, runs, current, ours):
    attempt = attempt_of(ONLY_ARGUMENTS, boot_id=EARLIER_BOOT, arguments=CHANGED)
    there = Deployments((on_default(id=booted),), current)
    record = Record(attempt=attempt, kernel_arguments=("quiet",))
    assert arguments_of_boot(record, attempt, there, host(kernel_arguments=runs)) == ours


def test_an_admins_argument_like_one_of_ours_that_is_gone_stays_the_admins():
    attempt = attempt_of(DEFAULT, boot_id=EARLIER_BOOT)
    there = Deployments((on_default(id="rhcos-staged.1"),), ("rw", "nosmt"))
    record = Record(attempt=attempt, kernel_arguments=("nosmt",))
    assert arguments_of_boot(record, attempt, there, host(kernel_arguments=("rw", "nosmt"))) == ()


def test_outside_of_any_deployment_those_from_before_are_ours():
    attempt = attempt_of(ONLY_ARGUMENTS, boot_id=EARLIER_BOOT, arguments=CHANGED)
    record = Record(attempt=attempt, kernel_arguments=("quiet",))
    assert arguments_of_boot(record, attempt, Deployments((OLD_DEFAULT,), ("quiet",)), host()) == ("quiet",)
