"""Another client of rpm-ostreed, run inside the host: ``METHOD [ARGUMENT]``; says what came of it."""

import asyncio
import sys

from mcd_rt.dbus.bus import Bus, bus_address, open_bus
from mcd_rt.dbus.connection import RemoteError
from mcd_rt.dbus.names import OS, RPM_OSTREE, SYSROOT, SYSROOT_PATH
from mcd_rt.dbus.transaction import Deadlines, run_transaction
from mcd_rt.dbus.wire import Typed, Value
from tests.system.patience import PATIENCE

_TIMEOUT = PATIENCE
_LOCK: Value = {"lock-finalization": Typed("b", value=True)}


def call_of(method: str, argument: str) -> tuple[str, list[Value]]:
    """Signature and body."""
    match method:
        case "Rebase":
            return "a{sv}sas", [{}, argument, []]
        case "Cleanup":
            return "as", [[argument]]
        case "Rollback" | "Upgrade":
            return "a{sv}", [{}]
        case "FinalizeDeployment":
            return "a{sv}", [{"checksum": Typed("s", argument)}]
        case "KernelArgs":
            return "sasasasa{sv}", ["quiet", [argument], [], [], _LOCK]
        case "UpdateDeployment":
            modifiers, _, option = argument.partition("/")
            key, _, value = modifiers.partition("=")
            wanted: Value = {key: Typed("as", value.split(",")) if "packages" in key else Typed("s", value)}
            return "a{sv}a{sv}", [wanted, {option: Typed("b", value=True)} if option else {}]
        case _:
            raise ValueError(method)


async def ask(bus: Bus, method: str, argument: str) -> str:
    """Register, call, run the transaction to its end; who may not register calls all the same."""
    options: Value = {"id": Typed("s", "cli")}
    try:
        await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.RegisterClient", "a{sv}", [options], timeout=_TIMEOUT)
    except RemoteError:
        if method == "RegisterClient":
            raise
    if method == "RegisterClient":
        return "allowed"
    if method == "Reload":
        await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=_TIMEOUT)
        return "allowed"
    path = str(await bus.read_property(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Booted", _TIMEOUT))
    vanished = await bus.watch_owner(RPM_OSTREE)
    signature, body = call_of(method, argument)
    [address] = await bus.call(RPM_OSTREE, path, f"{OS}.{method}", signature, body, timeout=_TIMEOUT)
    return str(await run_transaction(str(address), vanished, Deadlines(_TIMEOUT, _TIMEOUT), lambda _progress: None))


async def main(method: str, argument: str = "") -> None:
    """One call."""
    async with open_bus(bus_address(), _TIMEOUT) as bus:
        try:
            print(await ask(bus, method, argument), flush=True)  # whoever is asked may reboot the host at once
        except RemoteError as error:
            print(f"error: {error}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
