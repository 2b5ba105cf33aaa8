"""Finding out why a target did not come up: each cause its own code, and what cannot be told apart says so."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.evidence import Evidence
from mcd_rt.plan.evidence import NOTHING, explain_other_boot, is_fallback
from tests.unit.nodes import EARLIER_BOOT, EL9, EL9_RT, attempt_of, on_default, on_flavor, target_of

OLD = on_default(id="rhcos-old.0")
TARGET = on_flavor(EL9, EL9_RT, id="rhcos-staged.1", booted=False)
ATTEMPT = replace(attempt_of(target_of(EL9, EL9_RT), boot_id=EARLIER_BOOT), deployment_id=TARGET.id)

STARTED = "Finished OSTree Finalize Staged Deployment."
STOPPING = "Stopping OSTree Finalize Staged Deployment..."
BEGUN = "Finalizing staged deployment"
NO_ROOM = "error: Installing kernel: regfile copy: No space left on device"
FAILED = "ostree-finalize-staged.service: Failed with result 'exit-code'."


def why(log):
    return explain_other_boot(ATTEMPT, Deployments((OLD,)), Evidence(log))


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        (None, Code.NOT_FINALIZED, "no journal of the previous boot"),
        ((), Code.NOT_FINALIZED, "cannot be told apart"),
        ((STARTED,), Code.SHUTDOWN_SKIPPED, "without a shutdown"),
        ((STARTED, STOPPING), Code.NOT_FINALIZED, "begun and not ended"),
        ((STARTED, STOPPING, BEGUN), Code.NOT_FINALIZED, "begun and not ended"),
        ((STARTED, STOPPING, BEGUN, NO_ROOM, FAILED), Code.BOOT_SPACE, NO_ROOM),
        ((BEGUN, "error: mkdirat: Read-only file system", FAILED), Code.NOT_FINALIZED, "Read-only file system"),
        ((BEGUN, FAILED.replace("exit-code", "timeout")), Code.NOT_FINALIZED, "'timeout'"),
        ((BEGUN, NO_ROOM, "error: mkdirat: Read-only file system"), Code.NOT_FINALIZED, "Read-only file system"),
        (
            ("error: ostree-finalize-staged.service failed on previous boot: No space left on device",),
            Code.BOOT_SPACE,
            "",
        ),
    ],
)
def test_what_was_not_written_is_explained_by_the_words_of_who_should_have(log, code, words):
    failure = why(log)
    assert failure.code is code, str(failure)
    assert words in failure.message
    assert "realtime deployment was not finalized" in failure.message
    assert OLD.id in failure.message
    assert failure.hint
    assert not is_fallback(failure)


def test_no_room_names_the_way_to_make_some():
    assert "rpm-ostree cleanup -r" in why((BEGUN, NO_ROOM)).hint


def test_a_deployment_of_another_try_is_not_the_target():
    other = replace(TARGET, id="rhcos-other.1")
    failure = explain_other_boot(ATTEMPT, Deployments((other, OLD)), NOTHING)
    assert failure.code is Code.NOT_FINALIZED


@pytest.mark.parametrize(
    ("order", "boot_counted", "code", "words"),
    [
        ((OLD, TARGET), False, Code.ROLLED_BACK, "the boot order was turned"),
        ((OLD, TARGET), True, Code.ROLLED_BACK, "boot counting"),
        ((TARGET, OLD), True, Code.ROLLED_BACK, "boot counting"),
        ((TARGET, OLD), False, Code.BOOTED_ANOTHER, "cannot be told apart"),
    ],
)
def test_a_target_that_was_written_and_not_booted_was_turned_away_from(order, boot_counted, code, words):
    failure = explain_other_boot(ATTEMPT, Deployments(order), Evidence((BEGUN,), boot_counted=boot_counted))
    assert failure.code is code
    assert words in failure.message
    assert OLD.id in failure.message
    assert "mcd-rt retry" in failure.hint
    assert is_fallback(failure)


def test_a_node_that_booted_no_deployment_is_explained_too():
    failure = explain_other_boot(ATTEMPT, Deployments((replace(OLD, booted=False),)), NOTHING)
    assert "no deployment was booted" in failure.message
