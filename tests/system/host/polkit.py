"""Which polkit action a call needs, and whether polkitd allows it. Source: ``rpm-ostree-dbus.md`` 1 and its end."""

from mcd_rt.dbus.connection import RemoteError
from mcd_rt.dbus.names import BUS, GIO_ERROR, OS, SYSROOT
from mcd_rt.dbus.wire import Kind, Message, Typed, plain
from mcd_rt.sim.service import BusService, CallError

PREFIX = "org.projectatomic.rpmostree1"
_POLKIT = "org.freedesktop.PolicyKit1"
_SIMPLE = {
    f"{SYSROOT}.RegisterClient": ("client-management",),
    f"{SYSROOT}.UnregisterClient": ("client-management",),
    f"{SYSROOT}.Reload": ("reload-daemon",),
    f"{OS}.KernelArgs": ("bootconfig",),
    f"{OS}.Cleanup": ("cleanup",),
    f"{OS}.Rollback": ("rollback",),
    f"{OS}.FinalizeDeployment": ("finalize-deployment",),
    f"{OS}.PkgChange": ("install-uninstall-packages",),
    f"{OS}.Rebase": ("rebase",),
    f"{OS}.Upgrade": ("upgrade",),
}


def actions_of(call: Message) -> tuple[str, ...]:
    """The actions a call needs, all of them; none for what everybody may."""
    name = f"{call.interface}.{call.member}"
    if name != f"{OS}.UpdateDeployment":
        return tuple(f"{PREFIX}.{action}" for action in _SIMPLE.get(name, ()))
    modifiers, options = (plain(value) for value in call.body)
    assert isinstance(modifiers, dict)
    assert isinstance(options, dict)
    wanted = []
    if "set-refspec" in modifiers:
        wanted.append("rebase")
    elif "set-revision" in modifiers:
        wanted.append("deploy")
    elif not options.get("no-pull-base"):
        wanted.append("upgrade")
    if modifiers.get("install-packages") or modifiers.get("uninstall-packages"):
        wanted.append("install-uninstall-packages")
    if modifiers.get("install-local-packages"):
        wanted.append("install-local-packages")
    if any(key.startswith("override-") for key in modifiers):
        wanted.append("override")
    return tuple(f"{PREFIX}.{action}" for action in wanted)


async def is_allowed(service: BusService, sender: str, action: str) -> bool:
    """Root without being asked (since v2021.9); everybody else as polkitd says, without interaction."""
    connection = service._connection
    assert connection is not None
    [uid] = await service.ask("GetConnectionUnixUser", "s", [sender])
    if uid == 0:
        return True
    subject = ["system-bus-name", {"name": Typed("s", sender)}]
    call = Message(
        Kind.CALL,
        destination=_POLKIT,
        path=f"/{_POLKIT.replace('.', '/')}/Authority",
        interface=f"{_POLKIT}.Authority",
        member="CheckAuthorization",
        signature="(sa{sv})sa{ss}us",
        body=[subject, action, {}, 0, ""],
    )
    [[allowed, *_]] = (await connection.call(call, 25.0)).body
    return bool(allowed)


def as_glib_passes_it_on(error: RemoteError) -> CallError:
    """polkit's failure as rpm-ostreed's answer: ``g_dbus_error_encode_gerror`` knows the bus's own errors by name."""
    known = error.name.startswith(f"{BUS}.Error.")
    name = error.name if known else f"{GIO_ERROR}36"
    return CallError(name, f"GDBus.Error:{error.name}: {error.text}")
