"""Stage one assembly, locked, and read back what was made of it.

"Success" is what the deployments say, not what the transaction said: rpm-ostree reports "No change." as
success, and an outcome that was not heard may have been one (``reference/rpm-ostree-dbus.md`` 2 and 3).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import assert_never

from mcd_rt.dbus.rpmostree import RpmOstree, open_rpm_ostree
from mcd_rt.dbus.transaction import Done, Failed, Foreign, Lost, NotStarted, Outcome, Progress
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.deployment import Deployment
from mcd_rt.model.plan import Change
from mcd_rt.model.settings import RpmOstreeSettings
from mcd_rt.plan.layering import shape_of


class StagedMismatch(AgentError):
    """rpm-ostree finished, but not with what was planned; ``deployment_id`` is what it staged, if anything."""

    def __init__(self, message: str, deployment_id: str) -> None:
        """See the class."""
        hint = "it is not booted; `rpm-ostree status` shows what is there"
        super().__init__(Code.STAGED_MISMATCH, message, hint)
        self.deployment_id = deployment_id


@dataclass(frozen=True, slots=True)
class RpmOstreeAccess:
    """How to reach rpm-ostree, for steps that open a connection of their own.

    ``on_end`` is told of every transaction of ours: its method, its outcome and how many seconds it took.
    """

    settings: RpmOstreeSettings
    effects: Effects
    on_progress: Callable[[Progress], None]
    on_end: Callable[[str, Outcome, float], None]

    def open(self) -> AbstractAsyncContextManager[RpmOstree]:
        """Connect to the bus and register; closed at the end."""
        return open_rpm_ostree(self.settings, self.effects, self.on_end)


async def stage_change(access: RpmOstreeAccess, change: Change, descriptors: Sequence[int]) -> Deployment:
    """Run the assembly and return the staged deployment, which is as planned and locked.

    ``descriptors`` are open files of ``change.assembly.install``, in order, and stay the caller's.
    Raises ``AgentError``: ``transaction-*``, ``staged-mismatch``, ``rpm-ostree-*``, ``bus-unavailable``.
    """
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        before = (await client.deployments()).merge
        if before.id != change.merge_id:
            reason = f"another client staged {before.id} while this change was prepared"
            raise AgentError(Code.TRANSACTION_FOREIGN, reason, "the change is planned again")
        outcome = await client.update_deployment(change.assembly, descriptors, access.on_progress)
    _raise_unless_heard(outcome)
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        await client.reload()
        return await _read_back(client, change, outcome)


async def discard_staged(access: RpmOstreeAccess, deployment_id: str) -> None:
    """Drop the staged deployment if it still is the one meant; raises as ``stage_change`` does."""
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        staged = (await client.deployments()).staged
        if staged is None or staged.id != deployment_id:
            return
        outcome = await client.discard_staged(access.on_progress)
        _raise_unless_heard(outcome)
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        await client.reload()
        staged = (await client.deployments()).staged
        if staged is not None and staged.id == deployment_id:
            raise AgentError(Code.TRANSACTION_FAILED, f"{deployment_id} is still staged after its clean-up")


def _raise_unless_heard(outcome: Outcome) -> None:
    """Let what may have been done pass; the deployments will tell."""
    match outcome:
        case Done() | Lost():
            return
        case Failed(text):
            raise AgentError(
                Code.TRANSACTION_FAILED,
                f"rpm-ostree: {text}",
                "nothing was staged; `journalctl -u rpm-ostreed` has more",
            )
        case Foreign():
            raise AgentError(
                Code.TRANSACTION_FOREIGN,
                "rpm-ostree gave us a transaction that somebody else had started",
                "it is left alone; ours is tried again",
            )
        case NotStarted(reason):
            raise AgentError(
                Code.RPM_OSTREE_TIMEOUT,
                f"the transaction's socket was not to be had: {reason}",
                "nothing was started; rpm-ostreed must see this process (no PID namespace of its own)",
            )
        case _:
            assert_never(outcome)


async def _read_back(client: RpmOstree, change: Change, outcome: Outcome) -> Deployment:
    merge = (await client.deployments()).merge
    if merge.staged and merge.locked and shape_of(merge) == change.shape:
        return merge
    if isinstance(outcome, Lost) and not merge.staged:
        raise AgentError(
            Code.TRANSACTION_LOST,
            f"the transaction's end was not heard ({outcome.reason}) and nothing is staged",
            "`journalctl -u rpm-ostreed` has more",
        )
    made = merge.id if merge.staged and merge.id != change.merge_id else ""
    raise StagedMismatch(f"rpm-ostree finished, but {_difference(merge, change)}", made)


def _difference(merge: Deployment, change: Change) -> str:
    if not merge.staged:
        return "nothing is staged"
    if not merge.locked:
        return f"{merge.id} is not locked"
    shape, planned = shape_of(merge), change.shape
    missing = set(planned.local) - set(shape.local)
    if missing:
        return f"{merge.id} lacks {', '.join(sorted(map(str, missing)))}"
    return f"{merge.id} is not the deployment that was planned: {shape}"
