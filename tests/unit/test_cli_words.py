"""What the verbs say for every kind of plan, status and judgement."""

import json

import pytest

from mcd_rt.cli.plan import SOMETHING_TO_DO, explain
from mcd_rt.cli.plan import run as run_plan
from mcd_rt.cli.verify import _judge
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.errors import Code, Failure
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Discard, Held, Ignored, NeedsBase, NeedsContent, Reboot, Refused, Steady, Waiting
from mcd_rt.model.record import Phase, Record
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.revert import NOT_UNDONE
from tests.unit.nodes import (
    EL9,
    EL9_RT,
    attempt_of,
    base_of,
    content,
    desired,
    host,
    on_default,
    on_flavor,
    situation,
    target_of,
)

REASON = Failure(Code.WAITING_FOR_BASE, "the base came from another image", "wait for it")
IMAGE = ImageReference.parse(f"registry.example/os@sha256:{'0' * 64}")


@pytest.mark.parametrize(
    ("plan", "kind", "words", "to_do"),
    [
        (Steady("it runs"), "steady", "nothing to do: it runs", False),
        (Waiting(REASON), "waiting", "nothing is done: waiting-for-base: the base came", False),
        (Ignored(REASON), "ignored", "nothing is done", False),
        (Refused(REASON), "refused", "nothing is done", False),
        (Held(REASON, None), "held", "nothing is done", False),
        (NeedsContent(IMAGE, ("kernel-rt-core",)), "fetch", "fetch kernel-rt-core", True),
        (NeedsBase("b" * 64), "observe", f"look at the packages of {'b' * 64}", True),
        (Discard("rhcos-1.0", "not wanted"), "discard", "drop rhcos-1.0: not wanted", True),
        (
            Reboot("rhcos-1.0", "b", locked=True, on_staged=False, target=target_of(EL9, EL9_RT)),
            "reboot",
            "reboot into rhcos-1.0, which is staged and has realtime",
            True,
        ),
    ],
)
def test_every_kind_of_plan_has_its_words(plan, kind, words, to_do):
    explanation = explain(plan)
    assert (explanation.kind, explanation.to_do) == (kind, to_do)
    assert words in "\n".join(explanation.lines)


def test_a_change_says_what_goes_in_and_out_and_what_it_is_built_upon():
    there = situation(KernelType.REALTIME, on_default(), base=base_of(EL9), content=content(EL9_RT))
    explanation = explain(make_plan(there))
    assert (explanation.transactions, explanation.reboots) == (2, 1)
    text = "\n".join(explanation.lines)
    assert "one assembly, one reboot" in text
    assert "install: kernel-rt-core-" in text
    assert "remove from the base: kernel," in text


def test_the_way_back_says_what_it_does_not_undo_and_no_other_change_does():
    back = situation(KernelType.DEFAULT, on_flavor(EL9, EL9_RT), host=host(EL9_RT.uname), base=base_of(EL9))
    explanation = explain(make_plan(back))
    assert explanation.lines[0].startswith("switch to default")
    assert f"  not undone: {NOT_UNDONE}" in explanation.lines
    assert "kept to roll back to" in explanation.lines[-1]
    assert explanation.not_undone == NOT_UNDONE
    for other in (
        situation(KernelType.REALTIME, on_default(), base=base_of(EL9), content=content(EL9_RT)),
        situation(
            KernelType.DEFAULT,
            on_default(),
            base=base_of(EL9),
            desired=desired(KernelType.DEFAULT, kernel_arguments=("a",)),
        ),
    ):
        explanation = explain(make_plan(other))
        assert explanation.kind == "change"
        assert explanation.not_undone == ""
        assert "not undone" not in "\n".join(explanation.lines)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_plan_is_printed_with_its_way_out(mocker, capsys, as_json):
    mocker.patch("mcd_rt.cli.plan.make_context")
    mocker.patch("mcd_rt.cli.plan.explain_node", new=mocker.Mock(return_value=None))
    mocker.patch("mcd_rt.cli.plan.asyncio.run", return_value=explain(Waiting(REASON)))
    assert run_plan(mocker.Mock(json=as_json)) == 0
    printed = capsys.readouterr().out
    if as_json:
        assert json.loads(printed)["hint"] == "wait for it"
    else:
        assert "  wait for it" in printed
    mocker.patch("mcd_rt.cli.plan.asyncio.run", return_value=explain(NeedsBase("b")))
    assert run_plan(mocker.Mock(json=as_json)) == SOMETHING_TO_DO


def test_verify_looks_at_the_switch_of_this_boot_first_then_at_the_config():
    switched = Record(attempt=attempt_of(target_of(EL9, EL9_RT), phase=Phase.REBOOTING, boot_id="earlier"))
    judgement = _judge(host(), switched, lambda: pytest.fail("the config is not asked"))
    assert judgement.failure.code is Code.VERIFICATION_FAILED
    assert judgement.source == "the switch recorded"
    assert _judge(host(), Record(), lambda: desired(KernelType.DEFAULT)).failure is None
    absent = _judge(host(), Record(), lambda: Absent("there is none"))
    assert (absent.wanted, absent.failure) == ("", None)
