"""The product, broken on purpose: each function makes one mistake, in this process, for good."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import mcd_rt.act.stage
import mcd_rt.agent
import mcd_rt.content.cache
import mcd_rt.dbus.logind
import mcd_rt.dbus.transaction
import mcd_rt.fleet
import mcd_rt.observation
import mcd_rt.permit
import mcd_rt.rebooting
import mcd_rt.record
import mcd_rt.steps
from mcd_rt.dbus.rpmostree import RpmOstree
from mcd_rt.desired.sources import NodeConfig
from mcd_rt.effects import write_durably
from mcd_rt.errors import AgentError
from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Assembly
from mcd_rt.plan.brake import count_reboot
from mcd_rt.plan.outcome import GoingDown
from mcd_rt.plan.verification import CameUp
from mcd_rt.reboot.situation import LockGranted
from mcd_rt.record import load_record


def skip_fsync() -> None:
    """What is renamed into its place was never synced."""
    _replace_everywhere("write_durably", _writing_without("fsync"))


def skip_fsync_of_directory() -> None:
    """The new name of the record is left to the disk's leisure."""
    _replace_everywhere("write_durably", _writing_without("fsync_directory"))


def name_temporary_files_anew() -> None:
    """Every write has a temporary file of its own, which nobody knows after a death."""

    def write(effects: Any, path: Path, data: bytes, mode: int = 0o644) -> None:
        write_durably(_NamesOfItsOwn(effects), path, data, mode)

    _replace(mcd_rt.record, "write_durably", write)


def count_after_asking() -> None:
    """The reboot is counted once it was asked for."""
    ask = mcd_rt.rebooting.reboot
    _replace(mcd_rt.steps, "count_reboot", lambda record, _target, _now: record)

    async def reboot(context, config, situation, plan):
        outcome = await ask(context, config, situation, plan)
        if isinstance(outcome, GoingDown):
            record = load_record(context.paths)
            mcd_rt.steps.remember(context, count_reboot(record, plan.target, context.effects.now()))
        return outcome

    _replace(mcd_rt.rebooting, "reboot", reboot)


def forget_brake() -> None:
    """Nothing ever says that it was tried often enough."""
    _replace(mcd_rt.agent, "judge_brake", lambda *_: None)


def believe_the_boot() -> None:
    """A reboot that was asked for has brought the target up."""
    _replace(mcd_rt.agent, "judge_boot", lambda attempt, *_: CameUp(attempt.target))


def forget_lock() -> None:
    """What is staged may be booted by anybody."""
    begin = RpmOstree._transaction

    async def transaction(self, method, signature, body, *rest):
        for part in body:
            if isinstance(part, dict):
                part.pop("lock-finalization", None)
        return await begin(self, method, signature, body, *rest)

    _replace(RpmOstree, "_transaction", transaction)


def drop_read_back() -> None:
    """Success is what the transaction said."""

    async def believe(client, _change, _outcome):
        return (await client.deployments()).merge

    _replace(mcd_rt.act.stage, "_read_back", believe)
    _plan_what_is_staged()


def _plan_what_is_staged() -> None:
    """The next pass would look again, so it must be as trusting: whatever is staged and ours is the target."""
    plan = mcd_rt.agent.make_plan

    def trust(situation):
        planned, staged = plan(situation), situation.deployments.staged
        attempt = situation.record.attempt
        if staged is None or attempt is None or attempt.deployment_id != staged.id:
            return planned
        return mcd_rt.agent.Reboot(staged.id, staged.base_checksum, staged.locked, attempt.on_staged, attempt.target)

    _replace(mcd_rt.agent, "make_plan", trust)


def reboot_when_unknown() -> None:
    """Nobody objects where logind does not say who does."""
    ask = mcd_rt.dbus.logind.blocking_inhibitors

    async def nobody(bus):
        try:
            return await ask(bus)
        except AgentError:
            return ()

    _replace(mcd_rt.dbus.logind, "blocking_inhibitors", nobody)


def join_foreign_transactions() -> None:
    """``Start`` that says it was running already is taken for ours."""
    drop = mcd_rt.dbus.transaction.drop_descriptors

    def take(message):
        if message.body == [False]:
            message.body[0] = True
        drop(message)

    _replace(mcd_rt.dbus.transaction, "drop_descriptors", take)


def forget_digest() -> None:
    """The command line tells which packages, not which bytes."""
    _replace(Assembly, "digest", property(lambda _assembly: ""))


def trust_the_cache() -> None:
    """The descriptor of a file that is not the one that was verified is handed over."""
    _replace(mcd_rt.content.cache, "_compare", lambda *_: None)


def keep_descriptors() -> None:
    """Packages stay open after they were handed over."""
    open_compared = mcd_rt.content.cache._open_compared

    def keep(_stack, entry, package, go_on):
        class Never:
            @staticmethod
            def callback(*_: object) -> None: ...

        return open_compared(Never, entry, package, go_on)

    _replace(mcd_rt.content.cache, "_open_compared", keep)


def take_unreadable_for_default() -> None:
    """A config that cannot be read asks for nothing."""
    for place, name in ((mcd_rt.observation, "recall_node_config"), (mcd_rt.rebooting, "read_node_config")):
        _replace(place, name, _reading_anything(getattr(place, name)))


def take_staged_for_ours() -> None:
    """Whatever is staged is ours to drop."""
    _replace_everywhere("is_ours", lambda *_: True)
    _replace_everywhere("is_on_staged", lambda *_: False)


def fight_rollbacks() -> None:
    """Whoever goes back from what had come up has made a gap."""
    _replace(mcd_rt.agent, "see_rollback", lambda record, *_: record)


def skip_the_drain() -> None:
    """There are no hooks before a reboot."""
    _replace(mcd_rt.rebooting, "has_hooks", lambda *_: False)


def reboot_without_a_slot() -> None:
    """The lock server's answer is not waited for: it will have said yes."""

    async def take(context, record):
        return LockGranted(), replace(record, lock=replace(mcd_rt.fleet._wanted(context), granted=True))

    _replace(mcd_rt.permit, "take_lock", take)


def give_slot_back_unseen() -> None:
    """The slot is given back as soon as the node is up again, whatever runs."""
    verify = mcd_rt.agent.verify_boot

    async def early(context, observed, attempt):
        _failure, record = await mcd_rt.fleet.give_back(context, observed.record)
        return await verify(context, replace(observed, record=record), attempt)

    _replace(mcd_rt.agent, "verify_boot", early)


def ask_others_before_counting() -> None:
    """The file that others watch is there before the record knows of it."""
    ask = mcd_rt.rebooting.ask_others

    def first(context, situation, plan, sentinel):
        write_durably(context.effects, context.paths.below(sentinel), b"another kernel\n")
        ask(context, situation, plan, sentinel)

    _replace(mcd_rt.rebooting, "ask_others", first)


class _Without:
    """Effects of which one does nothing."""

    def __init__(self, effects: Any, name: str) -> None:
        self._effects = effects
        setattr(self, name, lambda *_: None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._effects, name)


class _NamesOfItsOwn:
    """Effects that write temporary files under names that come once."""

    def __init__(self, effects: Any) -> None:
        self._effects = effects

    def create(self, path: Path, mode: int) -> int:
        return self._effects.create(self._renamed(path), mode)

    def rename(self, source: Path, target: Path) -> None:
        self._effects.rename(self._renamed(source), target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._effects, name)

    def _renamed(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.{id(self)}")


def _reading_anything(read: Callable[..., Any]) -> Callable[..., Any]:
    def trust(*arguments: object) -> Any:
        try:
            return read(*arguments)
        except AgentError:
            return NodeConfig(Desired("default", KernelType.DEFAULT, "", (), None), None)

    return trust


def _writing_without(name: str) -> Callable[..., None]:
    def write(effects: Any, path: Path, data: bytes, mode: int = 0o644) -> None:
        write_durably(_Without(effects, name), path, data, mode)

    return write


def _replace(place: ModuleType | type, name: str, new: object) -> None:
    """A mistake that is made nowhere proves nothing: the name must be there."""
    getattr(place, name)
    setattr(place, name, new)


def _replace_everywhere(name: str, new: object) -> None:
    places = [
        module for key, module in sorted(sys.modules.items()) if key.startswith("mcd_rt.") and name in vars(module)
    ]
    assert places, f"nothing has {name}"
    for place in places:
        setattr(place, name, new)
