"""Kernel arguments: which are wanted, which are ours, in which order with the kernel (promises 2 and 5)."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import (
    ArgumentsChange,
    Assembly,
    Change,
    Discard,
    Ignored,
    OwnArguments,
    Reboot,
    Refused,
    Steady,
)
from mcd_rt.model.record import Phase, Record
from mcd_rt.model.settings import KernelArgumentsSettings, Settings, TuningSettings
from mcd_rt.plan.kernelargs import (
    are_gone,
    change_arguments,
    changed_arguments,
    missing_arguments,
    ours_among,
    wanted_arguments,
)
from mcd_rt.plan.layering import shape_of
from mcd_rt.plan.ownership import is_on_staged, own_arguments
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.situation import Neighbour, Situation
from tests.unit.nodes import (
    EL9,
    EL9_RT,
    EL9_RT_OLD,
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
)

REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT
HOSTS = ("root=UUID=1", "rw")
TUNED = Settings(tuning=TuningSettings(kernel_arguments=("tsc=nowatchdog",)))


def change(current: tuple[str, ...], ours: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments afterwards, by rpm-ostree's own arithmetic."""
    changed, own = change_arguments(current, OwnArguments(ours), wanted)
    after = current if changed is None else changed_arguments(changed)
    assert changed is None or changed.existing == current
    assert (changed is None) is (after == current), "nothing is staged for nothing"
    assert ours_among(after, own.ours) == own.ours
    assert change_arguments(after, own, wanted)[0] is None, "a second plan has nothing to do"
    return after


@pytest.mark.parametrize(
    ("current", "ours", "wanted", "after"),
    [
        pytest.param((), (), (), (), id="nothing"),
        pytest.param(HOSTS, (), ("b", "a"), (*HOSTS, "b", "a"), id="added in their order"),
        pytest.param(HOSTS, (), ("a", "b", "a"), (*HOSTS, "a", "b", "a"), id="duplicates are kept"),
        pytest.param(("a", "rw"), (), ("a", "b"), ("a", "rw", "b"), id="somebody else's satisfies"),
        pytest.param(("a", "rw"), (), ("a", "a"), ("a", "rw", "a"), id="somebody else's satisfies once"),
        pytest.param(("a", "rw"), (), (), ("a", "rw"), id="somebody else's is never taken out"),
        pytest.param(("rw", "a", "b"), ("a", "b"), (), ("rw",), id="ours are taken out"),
        pytest.param(("rw", "a", "x", "a"), ("a",), (), ("rw", "x", "a"), id="ours is taken out once"),
        pytest.param(("rw", "a", "b"), ("a", "b"), ("b", "c"), ("rw", "b", "c"), id="ours are replaced, in order"),
        pytest.param(("rw", "a", "b"), ("a", "b"), ("b", "a"), ("rw", "b", "a"), id="another order is another value"),
        pytest.param(("rw", "a", "x", "b"), ("a", "b"), ("a", "b"), ("rw", "a", "x", "b"), id="others in between"),
        pytest.param(("rw", "a"), ("a", "b"), ("a", "b"), ("rw", "a", "b"), id="ours that somebody took out"),
        pytest.param(("rw",), ("a",), (), ("rw",), id="ours that somebody took out, not wanted any more"),
        pytest.param(("rw", "a"), ("a",), ("a",), ("rw", "a"), id="steady"),
        pytest.param(("b", "a"), ("b", "a"), ("b", "a"), ("b", "a"), id="all of them ours"),
        pytest.param(("rw", "k=1"), ("k=1",), ("k=2",), ("rw", "k=2"), id="another value"),
        pytest.param(("rw", "k=1"), (), ("k=2",), ("rw", "k=1", "k=2"), id="another value than somebody else's"),
        pytest.param(HOSTS, (), ('d="a b"',), (*HOSTS, 'd="a b"'), id="quoted values stay whole"),
        pytest.param(
            ("rw", "b", "a"), ("a", "b"), ("b", "a"), ("rw", "b", "a"), id="there, remembered in another order"
        ),
        pytest.param(("b", "a", "a"), ("a", "b"), ("b", "a"), ("a", "b"), id="what is there twice is needed once"),
    ],
)
def test_arguments_become_the_wanted_ones_and_nothing_of_others_is_lost(current, ours, wanted, after):
    assert change(current, ours, wanted) == after


def test_what_is_taken_out_is_remembered_until_it_is_gone():
    changed, own = change_arguments(("rw", "a", "b"), OwnArguments(("a", "b"), gone=("z",)), ("b", "c"))
    assert changed == ArgumentsChange(("rw", "a", "b"), add=("b", "c"), remove=("a", "b"))
    assert own == OwnArguments(ours=("b", "c"), gone=("z", "a"))


def test_what_comes_back_is_not_gone():
    _, own = change_arguments(("rw",), OwnArguments((), gone=("a",)), ("a",))
    assert own == OwnArguments(ours=("a",), gone=())


def test_of_what_is_there_less_often_than_it_was_one_more_than_there_is_must_not_come_back():
    _, own = change_arguments(("rw", "a", "a"), OwnArguments(("a", "a")), ("a",))
    assert own == OwnArguments(ours=("a",), gone=("a", "a"))
    assert not are_gone(own.gone, ("rw", "a", "a"))
    assert are_gone(own.gone, ("rw", "a"))
    _, again = change_arguments(("rw", "a"), own, ("a",))
    assert again == own


@pytest.mark.parametrize(
    ("current", "known", "ours"),
    [
        (("a", "b"), [("a", "c")], ("a",)),
        (("a", "b"), [("a",), ("b", "a")], ("a", "b")),
        (("a", "a", "b"), [("a",), ("a", "a")], ("a", "a")),
        (("a", "b"), [("a", "a")], ("a",)),
        (("a", "b"), [], ()),
    ],
)
def test_ours_are_those_that_either_source_names_as_often_as_they_are_there(current, known, ours):
    assert ours_among(current, *known) == ours


@pytest.mark.parametrize(
    ("wanted", "running", "missing"),
    [
        (("a", "b"), ("x", "b", "a"), ()),
        (("a", "b"), ("a",), ("b",)),
        (("a", "a"), ("a",), ("a",)),
        (('dyndbg="file a.c +p"',), ('"dyndbg=file a.c +p"',), ()),
        (('k="v"',), ("k=v",), ()),
        (("k=a\\b",), ("k=ab",), ()),
        (("k=1",), ("k=2",), ("k=1",)),
    ],
)
def test_boot_loaders_may_quote_in_their_own_way(wanted, running, missing):
    assert missing_arguments(wanted, running) == missing


@pytest.mark.parametrize(
    ("kernel_type", "settings", "neighbour", "wanted"),
    [
        pytest.param(DEFAULT, Settings(), None, ("nosmt", "ours"), id="of the config"),
        pytest.param(REALTIME, TUNED, None, ("nosmt", "ours", "tsc=nowatchdog"), id="tuning with realtime"),
        pytest.param(DEFAULT, TUNED, None, ("nosmt", "ours"), id="no tuning without"),
        pytest.param(KernelType.PAGES_64K, TUNED, None, ("nosmt", "ours"), id="no tuning with another flavor"),
        pytest.param(REALTIME, TUNED, Neighbour(False), ("ours", "tsc=nowatchdog"), id="beside an MCD only the added"),
        pytest.param(DEFAULT, TUNED, Neighbour(True), ("ours",), id="beside a relieved MCD too"),
        pytest.param(
            REALTIME,
            replace(TUNED, kernel_arguments=KernelArgumentsSettings(manage=False)),
            None,
            (),
            id="none where they are not ours to manage",
        ),
    ],
)
def test_which_arguments_are_wanted(kernel_type, settings, neighbour, wanted):
    config = desired(kernel_type, kernel_arguments=("nosmt", "ours"), added_arguments=("ours",))
    assert wanted_arguments(config, settings, neighbour) == wanted


def node(
    wanted: KernelType,
    *there: Deployment,
    config: tuple[str, ...] = (),
    current: tuple[str, ...] = HOSTS,
    running: tuple[str, ...] | None = None,
    **given: object,
) -> Situation:
    """A node whose first deployment has the ``current`` arguments; those of the running kernel are the same."""
    booted = next(deployment for deployment in there if deployment.booted)
    asked = situation(
        wanted,
        *there,
        desired=desired(wanted, kernel_arguments=config),
        deployments=Deployments(there, current),
        host=host(booted.kernel_release, kernel_arguments=current if running is None else running),
        base=base_of(EL9),
        content=content(EL9_RT),
    )
    return replace(asked, **given)


def changed(asked: Situation) -> Change:
    plan = make_plan(asked)
    assert isinstance(plan, Change), plan
    return plan


def test_on_the_way_to_realtime_arguments_come_first_where_nothing_has_to_be_assembled_for_them():
    plan = changed(node(REALTIME, on_default(), config=("nosmt",)))
    assert plan.steps == (
        ArgumentsChange(HOSTS, add=("nosmt",), remove=()),
        Assembly(install=EL9_RT.packages, remove=EL9.names),
    )
    assert plan.target == replace(target_of(EL9, EL9_RT), kernel_arguments=("nosmt",))
    assert plan.shape == shape_of(on_default()), "the first step changes no packages"
    assert plan.kernel_arguments == (*HOSTS, "nosmt")
    assert plan.arguments == OwnArguments(("nosmt",))


def test_on_the_way_back_the_assembly_comes_first_and_then_what_is_left_is_the_base():
    asked = node(
        DEFAULT,
        on_flavor(EL9, EL9_RT),
        current=(*HOSTS, "tsc=nowatchdog"),
        settings=TUNED,
        record=Record(kernel_arguments=("tsc=nowatchdog",)),
    )
    plan = changed(asked)
    assert plan.steps == (
        Assembly(uninstall=tuple(map(str, EL9_RT.nevras)), reset=EL9.names),
        ArgumentsChange((*HOSTS, "tsc=nowatchdog"), add=(), remove=("tsc=nowatchdog",)),
    )
    assert plan.shape == shape_of(on_default())
    assert plan.kernel_arguments == (*HOSTS, "tsc=nowatchdog"), "the first step changes no arguments"
    assert plan.arguments == OwnArguments(("tsc=nowatchdog",)), "and they are still ours"


def test_new_packages_with_new_arguments_are_two_assemblies_arguments_first():
    plan = changed(node(REALTIME, on_flavor(EL9, EL9_RT_OLD), config=("nosmt",)))
    assert [type(step) for step in plan.steps] == [ArgumentsChange, Assembly]


@pytest.mark.parametrize(
    ("kernel_type", "there"), [(REALTIME, on_flavor(EL9, EL9_RT)), (DEFAULT, on_default())], ids=str
)
def test_a_config_that_changes_only_arguments_is_one_step(kernel_type, there):
    plan = changed(node(kernel_type, there, config=("nosmt",)))
    assert plan.steps == (ArgumentsChange(HOSTS, add=("nosmt",), remove=()),)
    assert plan.shape == shape_of(there)
    assert plan.target.kernel_arguments == ("nosmt",)


def test_the_tuning_comes_with_realtime():
    plan = changed(node(REALTIME, on_default(), settings=TUNED))
    assert plan.steps[0] == ArgumentsChange(HOSTS, add=("tsc=nowatchdog",), remove=())


def test_an_image_without_the_kernel_brings_no_arguments_either():
    asked = node(REALTIME, on_default(), config=("nosmt",), settings=TUNED, content=content())
    assert isinstance(make_plan(asked), Ignored)


def test_somebody_elses_argument_satisfies_the_config_and_stays_when_it_is_not_asked_for_any_more():
    assert isinstance(make_plan(node(DEFAULT, on_default(), config=("rw",))), Steady)
    assert isinstance(make_plan(node(DEFAULT, on_default(), config=())), Steady)


def test_arguments_that_are_not_ours_to_manage_are_left_alone():
    unmanaged = Settings(kernel_arguments=KernelArgumentsSettings(manage=False))
    assert isinstance(make_plan(node(DEFAULT, on_default(), config=("nosmt",), settings=unmanaged)), Steady)


UNMANAGED = replace(TUNED, kernel_arguments=KernelArgumentsSettings(manage=False))
OURS = ("nosmt", "tsc=nowatchdog")


def test_what_we_put_there_stays_once_arguments_are_left_to_others():
    """Taking them out would be a change, and a reboot, by a setting that says to leave them alone."""
    record = Record(kernel_arguments=OURS)
    there = {"current": (*HOSTS, *OURS), "config": ("threadirqs",), "record": record}
    plan = make_plan(node(REALTIME, on_flavor(EL9, EL9_RT), settings=UNMANAGED, **there))
    assert isinstance(plan, Steady)
    back = changed(node(DEFAULT, on_flavor(EL9, EL9_RT), settings=UNMANAGED, **there))
    assert back.steps == (Assembly(uninstall=tuple(map(str, EL9_RT.nevras)), reset=EL9.names),)
    assert (back.kernel_arguments, back.arguments) == ((*HOSTS, *OURS), OwnArguments(OURS)), "ours, for later"
    again = changed(node(REALTIME, on_flavor(EL9, EL9_RT), settings=Settings(), **there))
    assert again.steps == (ArgumentsChange((*HOSTS, *OURS), add=("threadirqs",), remove=OURS),)


def test_a_staged_change_of_arguments_is_dropped_once_they_are_left_to_others():
    target = replace(target_of(EL9), kernel_arguments=("nosmt",))
    ours = staged(on_default())
    attempt = attempt_of(target, arguments=OwnArguments(("nosmt",)))
    there = {"current": (*HOSTS, "nosmt"), "running": HOSTS, "config": ("nosmt",)}
    asked = node(DEFAULT, ours, on_default(), record=Record(attempt=attempt), settings=UNMANAGED, **there)
    plan = make_plan(asked)
    assert plan == Discard(ours.id, "it changes kernel arguments, which are left to others now")
    assert isinstance(make_plan(replace(asked, settings=Settings())), Reboot)


def test_a_staged_kernel_stays_where_arguments_are_left_to_others():
    ours, record = staged(on_flavor(EL9, EL9_RT)), Record(kernel_arguments=OURS)
    attempt = attempt_of(target_of(EL9, EL9_RT), ours.id, arguments=OwnArguments(OURS))
    there = {"current": (*HOSTS, *OURS), "record": replace(record, attempt=attempt)}
    assert isinstance(make_plan(node(REALTIME, ours, on_default(), settings=UNMANAGED, **there)), Reboot)


def test_a_machine_config_daemon_brings_those_of_its_config_itself():
    asked = node(DEFAULT, on_default(), config=("nosmt",), neighbour=Neighbour(relieved=False))
    assert isinstance(make_plan(asked), Steady)
    added = replace(asked, desired=replace(asked.desired, added_arguments=("threadirqs",)))
    assert changed(added).steps == (ArgumentsChange(HOSTS, add=("threadirqs",), remove=()),)


def test_arguments_may_change_where_layering_is_locked_but_not_on_the_way_to_packages():
    def locked(asked: Situation) -> Situation:
        return replace(asked, host=replace(asked.host, layering_locked="LockLayering is set"))

    assert changed(locked(node(DEFAULT, on_default(), config=("nosmt",)))).steps
    plan = make_plan(locked(node(REALTIME, on_default(), config=("nosmt",))))
    assert isinstance(plan, Refused), "or it would be staged and dropped for ever"
    assert plan.reason.code is Code.LAYERING_LOCKED


def test_an_argument_of_the_deployment_that_the_running_kernel_was_not_given_is_told():
    asked = node(DEFAULT, on_default(), config=("nosmt",), current=(*HOSTS, "nosmt"), running=HOSTS)
    plan = make_plan(asked)
    assert isinstance(plan, Refused)
    assert plan.reason.code is Code.VERIFICATION_FAILED
    assert "was not given nosmt" in plan.reason.message


# The second step: the first one is staged.

BOTH = replace(target_of(EL9, EL9_RT), kernel_arguments=("nosmt",))
WITH_NOSMT = (*HOSTS, "nosmt")
FIRST_STEP = attempt_of(BOTH, arguments=OwnArguments(("nosmt",)))
STAGED_ARGUMENTS = staged(on_default())


def after_arguments(**changes: object) -> Situation:
    """Arguments are staged, the kernel is not yet."""
    return node(
        REALTIME,
        STAGED_ARGUMENTS,
        on_default(),
        config=("nosmt",),
        current=WITH_NOSMT,
        running=HOSTS,
        record=Record(attempt=replace(FIRST_STEP, **changes)),
    )


def test_the_kernel_is_staged_upon_the_arguments():
    plan = changed(after_arguments())
    assert plan.steps == (Assembly(install=EL9_RT.packages, remove=EL9.names),)
    assert (plan.merge_id, plan.on_staged) == (STAGED_ARGUMENTS.id, False)
    assert plan.kernel_arguments == WITH_NOSMT
    assert plan.arguments == OwnArguments(("nosmt",))
    assert plan.target.identity == BOTH.identity


def test_both_staged_are_rebooted_into():
    asked = after_arguments()
    there = staged(on_flavor(EL9, EL9_RT))
    asked = replace(asked, deployments=Deployments((there, on_default()), WITH_NOSMT))
    plan = make_plan(asked)
    assert plan == Reboot(there.id, base_of(EL9).checksum, locked=True, on_staged=False, target=BOTH)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"phase": Phase.STAGING}, id="a step that was not read back as planned"),
        pytest.param({"phase": Phase.STAGING, "deployment_id": ""}, id="a step whose end is not known"),
        pytest.param({"target": replace(BOTH, kernel_arguments=("mitigations=off",))}, id="on the way to another one"),
    ],
)
def test_a_first_step_that_is_not_known_to_be_right_is_dropped(changes):
    assert isinstance(make_plan(after_arguments(**changes)), Discard)


def test_packages_that_are_staged_halfway_are_not_built_upon():
    half = staged(on_flavor(EL9, EL9_RT.only("core", "modules", "modules-core")))
    asked = after_arguments()
    asked = replace(asked, deployments=Deployments((half, on_default()), WITH_NOSMT))
    assert isinstance(make_plan(asked), Discard)


def test_arguments_that_are_not_wanted_any_more_are_dropped_before_they_are_booted():
    asked = after_arguments()
    assert isinstance(make_plan(replace(asked, desired=desired(DEFAULT))), Discard)


GOING_BACK = replace(target_of(EL9), kernel_arguments=())
STAGED_BASE = staged(on_default())


def after_assembly(**changes: object) -> Situation:
    """The base's own kernel is staged, the argument that came with realtime is still there."""
    attempt = attempt_of(GOING_BACK, arguments=OwnArguments(("nosmt",)), **changes)
    return node(
        DEFAULT,
        STAGED_BASE,
        on_flavor(EL9, EL9_RT),
        current=WITH_NOSMT,
        record=Record(attempt=attempt, kernel_arguments=("nosmt",)),
    )


def test_the_arguments_are_taken_out_of_the_staged_base():
    plan = changed(after_assembly())
    assert plan.steps == (ArgumentsChange(WITH_NOSMT, add=(), remove=("nosmt",)),)
    assert plan.arguments == OwnArguments((), gone=("nosmt",))


def test_a_death_just_before_the_arguments_are_taken_out_does_not_forget_that_they_are_ours():
    killed = after_assembly(phase=Phase.STAGING)
    attempt = replace(killed.record.attempt, arguments=OwnArguments((), gone=("nosmt",)))
    plan = make_plan(replace(killed, record=replace(killed.record, attempt=attempt)))
    assert isinstance(plan, Discard), "not a reboot into a default kernel that still has them"


@pytest.mark.parametrize(
    ("changes", "current", "own"),
    [
        pytest.param({}, WITH_NOSMT, OwnArguments(("nosmt",)), id="as recorded"),
        pytest.param({"deployment_id": "rhcos-earlier.0"}, WITH_NOSMT, OwnArguments(("nosmt",)), id="built upon"),
        pytest.param(
            {"phase": Phase.STAGING, "deployment_id": "", "arguments": OwnArguments(("b",), gone=("nosmt",))},
            (*HOSTS, "b"),
            OwnArguments(("b",), gone=("nosmt",)),
            id="done, and not recorded",
        ),
        pytest.param(
            {"phase": Phase.STAGING, "arguments": OwnArguments(("b",), gone=("nosmt",))},
            WITH_NOSMT,
            OwnArguments(("nosmt",), gone=("nosmt",)),
            id="recorded, and not done",
        ),
    ],
)
def test_which_arguments_of_a_staged_deployment_are_ours(changes, current, own):
    asked = after_assembly()
    record = replace(asked.record, attempt=replace(asked.record.attempt, **changes))
    deployments = replace(asked.deployments, kernel_arguments=current)
    assert own_arguments(replace(asked, record=record, deployments=deployments)) == own


def test_arguments_of_a_deployment_that_is_another_clients_are_ours_as_far_as_the_running_ones_are():
    foreign = staged(on_default(requested=("htop",)), locked=False)
    asked = after_assembly(deployment_id="rhcos-gone.0")
    asked = replace(asked, deployments=Deployments((foreign, on_flavor(EL9, EL9_RT)), WITH_NOSMT))
    assert own_arguments(asked) == OwnArguments(("nosmt",))


def test_an_argument_that_an_admin_puts_upon_our_first_step_is_not_dropped_with_it():
    asked = after_arguments(deployment_id="rhcos-before.0")
    asked = replace(asked, deployments=replace(asked.deployments, kernel_arguments=(*WITH_NOSMT, "audit=1")))
    assert is_on_staged(asked, STAGED_ARGUMENTS)
    plan = changed(asked)
    assert plan.on_staged
    assert plan.kernel_arguments == (*WITH_NOSMT, "audit=1")
    assert plan.arguments == OwnArguments(("nosmt",)), "the admin's is not ours"


def test_arguments_alone_that_were_staged_and_not_recorded_are_rebooted_into():
    """As ``KernelArgs`` on a plain deployment leaves it: the same packages, locked, begun in this boot."""
    target = replace(target_of(EL9), kernel_arguments=("nosmt",))
    begun = attempt_of(target, "", phase=Phase.STAGING, arguments=OwnArguments(("nosmt",)))
    asked = node(
        DEFAULT,
        STAGED_ARGUMENTS,
        on_default(),
        config=("nosmt",),
        current=WITH_NOSMT,
        running=HOSTS,
        record=Record(attempt=begun),
    )
    assert make_plan(asked) == Reboot(
        STAGED_ARGUMENTS.id, base_of(EL9).checksum, locked=True, on_staged=False, target=target
    )
