"""Stage one step of a change, and read back what was made of it.

"Success" is what the deployments say, not what the transaction said: rpm-ostree reports "No change." as
success, and an outcome that was not heard may have been one (``reference/rpm-ostree-dbus.md`` 2 and 3).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import assert_never

from mcd_rt.dbus.rpmostree import RpmOstree, open_rpm_ostree
from mcd_rt.dbus.transaction import Done, Failed, Foreign, Lost, NotStarted, Outcome, Progress
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.plan import ArgumentsChange, Assembly, Change, Step
from mcd_rt.model.settings import RpmOstreeSettings
from mcd_rt.plan.layering import has_shape, shape_of


class StagedMismatch(AgentError):
    """rpm-ostree finished, but not with what was planned; ``deployment_id`` is what it staged, if anything."""

    def __init__(self, message: str, deployment_id: str) -> None:
        """See the class."""
        hint = "it is not booted; `rpm-ostree status` shows what is there"
        super().__init__(Code.STAGED_MISMATCH, message, hint)
        self.deployment_id = deployment_id


@frozen
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


@frozen
class Handles:
    """Open files for a step, which stay the caller's.

    ``packages`` are those of ``Assembly.install``, in order; ``repository`` is the directory of the ostree repository
    that a rebase takes its commit from.
    """

    packages: tuple[int, ...] = ()
    repository: int | None = None


async def stage_step(access: RpmOstreeAccess, change: Change, handles: Handles) -> Deployment:
    """Run the first step of a change and return the staged deployment, which is as planned, its lock included.

    Raises ``AgentError``: ``transaction-*``, ``staged-mismatch``, ``layering-locked``, ``rpm-ostree-*``,
    ``bus-unavailable``.
    """
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        before = (await client.deployments()).merge
        if before.id != change.merge_id:
            reason = f"another client staged {before.id} while this change was prepared"
            raise AgentError(Code.TRANSACTION_FOREIGN, reason, "the change is planned again")
        outcome = await _run(client, access, change.steps[0], handles)
    _raise_unless_heard(outcome)
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        await client.reload()
        return await _read_back(client, change, outcome)


async def _run(client: RpmOstree, access: RpmOstreeAccess, step: Step, handles: Handles) -> Outcome:
    match step:
        case Assembly():
            return await client.update_deployment(step, handles.packages, access.on_progress, handles.repository)
        case ArgumentsChange():
            return await client.change_kernel_arguments(step, access.on_progress)
        case _:
            assert_never(step)


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
            why = f"{deployment_id} is still staged after its clean-up"
            raise AgentError(Code.TRANSACTION_FAILED, why, "it is tried again; `rpm-ostree cleanup -p` drops it")


def _raise_unless_heard(outcome: Outcome) -> None:
    """Let what may have been done pass; the deployments will tell."""
    match outcome:
        case Done() | Lost():
            return
        case Failed(text) if "LockLayering" in text:
            raise AgentError(
                Code.LAYERING_LOCKED,
                f"rpm-ostree: {text}",
                "put the kernel into the image, or allow layering in /etc/rpm-ostreed.conf",
            )
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
    deployments = await client.deployments()
    merge = deployments.merge
    difference = _difference(deployments, change)
    if not difference:
        return merge
    if isinstance(outcome, Lost) and not merge.staged:
        raise AgentError(
            Code.TRANSACTION_LOST,
            f"the transaction's end was not heard ({outcome.reason}) and nothing is staged",
            "`journalctl -u rpm-ostreed` has more",
        )
    ours = merge.staged and merge.id != change.merge_id and (merge.locked or has_shape(merge, change.shape))
    made = merge.id if ours else ""  # unlocked and not as planned: another client staged it since
    raise StagedMismatch(f"rpm-ostree finished, but {difference}", made)


def _difference(deployments: Deployments, change: Change) -> str:
    """What is not as planned; nothing where everything is."""
    merge = deployments.merge
    if not merge.staged or merge.id == change.merge_id:
        return "nothing is staged" if not merge.staged else f"{merge.id} is staged as before"
    if merge.locked is not change.steps[0].locked:
        return f"{merge.id} is {'locked' if merge.locked else 'not locked'}"
    missing = set(change.shape.local) - set(merge.local)
    if missing:
        return f"{merge.id} lacks {', '.join(sorted(map(str, missing)))}"
    if not has_shape(merge, change.shape):
        return f"{merge.id} is not the deployment that was planned: {shape_of(merge)}"
    if deployments.kernel_arguments != change.kernel_arguments:
        return f"{merge.id} has the kernel arguments {' '.join(deployments.kernel_arguments)}"
    return ""
