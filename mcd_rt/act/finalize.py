"""Finalize what is staged and reboot into it, in one act that is ours."""

from collections.abc import Callable
from typing import assert_never

from mcd_rt.act.stage import RpmOstreeAccess
from mcd_rt.dbus.bus import bus_address, open_bus
from mcd_rt.dbus.logind import Inhibitor, is_preparing_for_shutdown, reboot, wait_until_unblocked
from mcd_rt.dbus.rpmostree import RpmOstree
from mcd_rt.dbus.systemd import wait_until_active
from mcd_rt.dbus.transaction import Done, Failed, Foreign, Lost, NotStarted, Outcome
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.plan import Reboot

_FINALIZER = "ostree-finalize-staged.service"
_FINALIZER_TIMEOUT = 60.0


async def is_going_down(access: RpmOstreeAccess, *, must_know: bool) -> bool:
    """Whether somebody has begun to shut the node down: what is written then may be withdrawn, or never booted.

    Where logind does not answer, that is an error (``reboot-refused``) if it ``must_know``, else no.
    """
    async with open_bus(bus_address(), access.settings.connect_timeout) as bus:
        try:
            return await is_preparing_for_shutdown(bus)
        except AgentError:
            if must_know:
                raise
            return False  # a host without logind: what is staged is locked, and its reboot will be refused


async def check_reboot_allowed(
    access: RpmOstreeAccess, patience: float, on_blocked: Callable[[str], None] = lambda _holders: None
) -> None:
    """Look before the reboot is counted: who objects, and whether a shutdown would finalize at all.

    Who objects is waited for, ``patience`` seconds; ``on_blocked`` is told who. A reboot before that service is active
    loses the staged deployment (``reference/machine-config-daemon.md`` 5.5). Raises ``AgentError``:
    ``reboot-refused``, ``finalize-failed``.
    """
    async with open_bus(bus_address(), access.settings.connect_timeout) as bus:
        await wait_until_active(bus, _FINALIZER, _FINALIZER_TIMEOUT)
        inhibitors = await wait_until_unblocked(bus, patience, lambda found: on_blocked(_named(found)))
    if inhibitors:
        raise AgentError(
            Code.REBOOT_REFUSED,
            f"a reboot is blocked by {_named(inhibitors)}",
            "it is tried again; `systemd-inhibit --list`",
        )


def _named(inhibitors: tuple[Inhibitor, ...]) -> str:
    return ", ".join(f"{inhibitor.who} ({inhibitor.why})" for inhibitor in inhibitors)


async def reboot_into(access: RpmOstreeAccess, plan: Reboot) -> None:
    """Unlock the staged deployment and reboot; returns once the node was asked to go down.

    One that is unlocked already, by an earlier try or with a strategy in which others reboot, needs only
    the reboot. Raises ``AgentError``: ``transaction-foreign`` where something else is staged by now,
    ``finalize-failed``, ``reboot-refused``.
    """
    async with access.open() as client:
        await client.wait_until_idle(access.settings.transaction_timeout)
        await _raise_unless_staged(client, plan)
        if plan.locked:
            _raise_unless_asked(plan, await client.finalize(plan.base_checksum, access.on_progress))
            return
    async with open_bus(bus_address(), access.settings.connect_timeout) as bus:
        await reboot(bus, access.effects)


async def _raise_unless_staged(client: RpmOstree, plan: Reboot) -> None:
    """The checksum to finalize is that of the base, which another client's work on it shares with ours."""
    staged = (await client.deployments()).staged
    if staged is None or staged.id != plan.deployment_id:
        reason = f"another client replaced {plan.deployment_id}, which was staged, just before the reboot"
        raise AgentError(Code.TRANSACTION_FOREIGN, reason, "the change is planned again")


def _raise_unless_asked(plan: Reboot, outcome: Outcome) -> None:
    match outcome:
        case Done() | Lost():
            return  # it reboots as its last act: its end is often not heard
        case Failed(text):
            code = Code.REBOOT_REFUSED if "inhibitor" in text else Code.FINALIZE_FAILED
            raise AgentError(code, f"rpm-ostree did not finalize {plan.deployment_id}: {text}", "it is tried again")
        case Foreign():
            raise AgentError(Code.TRANSACTION_FOREIGN, "another client is finalizing", "it is left to do so")
        case NotStarted(reason):
            why = f"the finalize transaction was not to be had: {reason}"
            raise AgentError(Code.FINALIZE_FAILED, why, "it is tried again; `journalctl -u rpm-ostreed`")
        case _:
            assert_never(outcome)
