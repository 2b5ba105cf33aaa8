"""The pass without effects: plan, apply to a pure node, look again. What ``agent.py`` composes, in values."""

from dataclasses import dataclass, field, replace

from mcd_rt.model.content import Content
from mcd_rt.model.desired import Desired
from mcd_rt.model.plan import Change, Discard, NeedsBase, NeedsContent, Plan, Reboot
from mcd_rt.model.record import Attempt, Phase, Record, Verified
from mcd_rt.plan.layering import shape_of
from mcd_rt.plan.plan import Situation, make_plan
from mcd_rt.plan.verification import CameUp, Verdict, judge_boot
from tests.property.pure_node import Node, cleanup_pending, finalize, host_of, observe, reboot, update

STEPS = 12  # no way is longer: drop what is staged, assemble, reboot, and look


@dataclass(slots=True)
class World:
    """A node with our agent on it. ``images`` are what can be fetched; ``asked`` is what was done, step by step."""

    node: Node
    images: tuple[Content, ...]
    accept_unknown_base: bool = False
    record: Record = Record()  # noqa: RUF009 - frozen
    asked: list[str] = field(default_factory=list)

    def plan(self, desired: Desired) -> Plan:
        """The plan, after bringing what it asks for, each at most once."""
        situation = Situation(
            desired, host_of(self.node), observe(self.node), self.record, accept_unknown_base=self.accept_unknown_base
        )
        for _ in range(3):
            match plan := make_plan(situation):
                case NeedsBase(checksum):
                    os = next(one.tree.os for one in self.node.placed if one.tree.os.checksum == checksum)
                    situation = replace(situation, base=os.listed)
                case NeedsContent(image):
                    content = next(image_ for image_ in self.images if image_.digest == image.digest)
                    situation = replace(situation, content=content)
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
                self.assemble(plan)
            case Reboot():
                self.reboot(plan)
            case Discard():
                self.node = cleanup_pending(self.node)
                self.asked.append("discard")
            case _:
                return False
        return True

    def assemble(self, change: Change, *, dies_before_recording: bool = False) -> None:
        """Stage a change, read it back, remember."""
        assert change.merge_id == self.node.merge.id
        attempt = self._attempt(change, Phase.STAGING, "")
        self.record = replace(self.record, attempt=attempt, foreign_removals=change.foreign_removals)
        self.node = update(self.node, change.assembly)
        self.asked.append("assemble")
        assert shape_of(observe(self.node).merge) == change.shape
        if not dies_before_recording:
            staged = replace(attempt, phase=Phase.STAGED, deployment_id=self.node.merge.id)
            self.record = replace(self.record, attempt=staged)

    def reboot(self, plan: Reboot, *, finalizes: bool = True) -> Verdict | None:
        """Finalize and reboot; what became of it."""
        attempt = self._attempt(plan, Phase.REBOOTING, plan.deployment_id)
        self.record = replace(self.record, attempt=attempt)
        self.node = finalize(self.node, plan.deployment_id)
        self.asked.append("reboot")
        return self.boot(finalizes=finalizes)

    def boot(self, *, finalizes: bool = True) -> Verdict | None:
        """Reboot, and judge what became of an attempt."""
        self.node = reboot(self.node, finalizes=finalizes)
        attempt = self.record.attempt
        if attempt is None:
            return None
        self.record = replace(self.record, attempt=None)
        verdict = judge_boot(attempt, observe(self.node), host_of(self.node))
        if isinstance(verdict, CameUp):
            self.record = replace(self.record, verified=Verified(verdict.target, 0.0, 1.0))
        return verdict

    def _attempt(self, plan: Change | Reboot, phase: Phase, deployment_id: str) -> Attempt:
        return Attempt(plan.target, phase, self.node.boot_id, 0.0, deployment_id, plan.on_staged)
