"""The pass without effects: plan, apply to a pure node, look again. What ``agent.py`` composes, in values."""

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from mcd_rt.model.content import Content
from mcd_rt.model.desired import Desired
from mcd_rt.model.plan import (
    ArgumentsChange,
    Assembly,
    Change,
    Discard,
    NeedsBase,
    NeedsContent,
    NeedsDigest,
    NeedsOs,
    OwnArguments,
    Plan,
    Reboot,
    Steady,
    Target,
)
from mcd_rt.model.record import Attempt, Phase, Record, Resolved
from mcd_rt.model.settings import Settings
from mcd_rt.plan.brake import see_running
from mcd_rt.plan.layering import shape_of
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.rollback import see_rollback, see_verified
from mcd_rt.plan.situation import OsOffer, Situation
from mcd_rt.plan.verification import CameUp, Verdict, arguments_of_boot, judge_boot
from tests.property.pure_node import (
    Node,
    change_arguments,
    cleanup_pending,
    finalize,
    host_of,
    observe,
    reboot,
    update,
)

STEPS = 12  # no way is longer: drop what is staged, arguments, assemble, reboot, and look


class Death(Enum):
    """When a pass is killed while it stages: before the transaction, or after it and before that is recorded."""

    BEFORE = auto()
    AFTER = auto()


@dataclass(slots=True)
class World:
    """A node with our agent on it. ``images`` are what can be fetched; ``asked`` is what was done, step by step."""

    node: Node
    images: tuple[Content, ...]
    settings: Settings = Settings()  # noqa: RUF009 - frozen
    record: Record = Record()  # noqa: RUF009 - frozen
    asked: list[str] = field(default_factory=list)
    assemblies: int = 0

    def plan(self, desired: Desired) -> Plan:
        """The plan, after bringing what it asks for, each at most once."""
        situation = Situation(desired, host_of(self.node), observe(self.node), self.record, settings=self.settings)
        for _ in range(5):
            match plan := make_plan(situation):
                case NeedsBase(checksum):
                    os = next(one.tree.os for one in self.node.placed if one.tree.os.checksum == checksum)
                    situation = replace(situation, base=os.listed)
                case NeedsContent(image):
                    content = next(image_ for image_ in self.images if image_.digest == image.digest)
                    situation = replace(situation, content=content)
                case NeedsOs(image):
                    offered = next(os for os in self.node.offers if os.image_digest == image.digest)
                    situation = replace(situation, offer=OsOffer(offered.image, signed=False))
                case NeedsDigest(image):  # every tag is that of the first image
                    resolved = (*self.record.resolved, Resolved(str(image), self.images[0].digest))
                    self.record = replace(self.record, resolved=resolved)
                    situation = replace(situation, record=self.record)
                case _:
                    return plan
        raise AssertionError(f"a plan asked again for what it was given: {plan}")

    def settle(self, desired: Desired) -> Plan:
        """Pass after pass until nothing is to be done; the plan that says so."""
        for _ in range(STEPS):
            plan = self.plan(desired)
            if not self.step(plan):
                return plan
        raise AssertionError(f"no end: {self.asked}")

    def step(self, plan: Plan) -> bool:
        """Do what a plan says; false when it says nothing."""
        match plan:
            case Change():
                self.record = see_rollback(self.record, observe(self.node), plan.target)
                if self.record.given_up == plan.target.identity:
                    return False
                self.stage(plan)
            case Reboot():
                self.reboot(plan)
            case Discard():
                self.node = cleanup_pending(self.node)
                self.record = replace(self.record, attempt=None)
                self.asked.append("discard")
            case Steady(running=Target() as running):
                self.record = see_running(self.record, running)
                return False
            case _:
                return False
        return True

    def stage(self, change: Change, death: Death | None = None) -> None:
        """Stage the first step of a change, read it back, remember."""
        assert change.merge_id == self.node.merge.id
        begun = self.record.attempt
        before = begun.deployment_id if begun is not None and begun.deployment_id == change.merge_id else ""
        attempt = Attempt(
            change.target, Phase.STAGING, self.node.boot_id, 0.0, before, change.on_staged, change.arguments
        )
        self.record = replace(self.record, attempt=attempt, foreign_removals=change.foreign_removals)
        if death is Death.BEFORE:
            return
        match change.steps[0]:
            case Assembly() as step:
                self.node = update(self.node, step)
                self.asked.append("assemble")
                self.assemblies += 1
            case ArgumentsChange() as step:
                self.assemblies += self.node.merge.tree.layered
                self.node = change_arguments(self.node, step)
                self.asked.append("arguments")
        there = observe(self.node)
        assert shape_of(there.merge) == change.shape
        assert there.kernel_arguments == change.kernel_arguments
        if death is None:
            staged = replace(attempt, phase=Phase.STAGED, deployment_id=self.node.merge.id)
            self.record = replace(self.record, attempt=staged)

    def reboot(self, plan: Reboot, *, finalizes: bool = True) -> Verdict | None:
        """Finalize and reboot; what became of it."""
        self.ask_for_reboot(plan)
        return self.boot(finalizes=finalizes)

    def ask_for_reboot(self, plan: Reboot) -> None:
        """Write it down and finalize; the node is still up."""
        begun = self.record.attempt
        own = begun.arguments if begun is not None else OwnArguments(self.record.kernel_arguments)
        attempt = Attempt(plan.target, Phase.REBOOTING, self.node.boot_id, 0.0, plan.deployment_id, plan.on_staged, own)
        self.record = replace(self.record, attempt=attempt)
        self.node = finalize(self.node, plan.deployment_id)
        self.asked.append("reboot")

    def boot(self, *, finalizes: bool = True) -> Verdict | None:
        """Reboot, and judge what became of an attempt."""
        self.node = reboot(self.node, finalizes=finalizes)
        attempt = self.record.attempt
        if attempt is None:
            return None
        there = observe(self.node)
        own = arguments_of_boot(self.record, attempt, there, host_of(self.node))
        self.record = replace(self.record, attempt=None, kernel_arguments=own)
        verdict = judge_boot(attempt, there, host_of(self.node))
        if isinstance(verdict, CameUp):
            self.record = replace(self.record, verified=see_verified(verdict.target, 0.0, 1.0, there))
        return verdict
