"""The one mapping from what goes wrong on the wire to the codes of ``errors.py``."""

from mcd_rt.dbus.connection import RemoteError
from mcd_rt.dbus.names import GIO_ERROR
from mcd_rt.errors import AgentError, Code

_ERRORS = "org.freedesktop.DBus.Error."
NO_REPLY = f"{_ERRORS}NoReply"
"""The bus's answer where the service left instead of answering."""

_NEEDED = "this user needs the polkit actions of docs/privileges.md, and a bus that lets it speak to the service"
_ABSENT = (
    *(f"{_ERRORS}{name}" for name in ("ServiceUnknown", "NameHasNoOwner", "Spawn.", "TimedOut")),
    "org.freedesktop.systemd1.",  # it could not be started: its unit is masked, or does not load
)
_BUSY_TEXTS = ("Transaction in progress", "System transaction in progress")


def converted(error: Exception, service: str, what: str, timeout: float) -> AgentError:
    """The failure behind an error of a call; decides on names and GIO's codes.

    The one exception is busy before rpm-ostree 2021.4, which is told apart by its text only
    (``reference/rpm-ostree-dbus.md`` 2, "Busy / join").
    """
    if isinstance(error, TimeoutError):
        message = f"{service} did not answer {what} in {timeout:g} s"
        return AgentError(Code.RPM_OSTREE_TIMEOUT, message, f"`systemctl status {service}` and its journal tell why")
    if not isinstance(error, RemoteError):
        return AgentError(Code.BUS_UNAVAILABLE, f"{what}: {error}", "is dbus running?")
    code, hint = _answered(error, service)
    return AgentError(code, f"{what}: {error.text or error.name}", hint)


def _answered(error: RemoteError, service: str) -> tuple[Code, str]:
    if error.name == f"{GIO_ERROR}26" or error.text.startswith(_BUSY_TEXTS):
        return Code.RPM_OSTREE_BUSY, "it is waited for, never cancelled"
    if error.name == f"{GIO_ERROR}36":  # G_IO_ERROR_DBUS_ERROR: whom it asked itself answered with an error
        hint = f"{service} asks polkit what this user may: `systemctl status polkit` tells why it does not answer"
        return Code.RPM_OSTREE_UNAVAILABLE, hint
    if error.name.startswith(GIO_ERROR):
        return Code.TRANSACTION_FAILED, f"`journalctl -u {service}` has the details"
    if error.name == f"{_ERRORS}AccessDenied":
        return Code.RPM_OSTREE_DENIED, _NEEDED
    if error.name == NO_REPLY or error.name.startswith(_ABSENT):
        return Code.RPM_OSTREE_UNAVAILABLE, f"`systemctl status {service} polkit` tells which does not run"
    return Code.RPM_OSTREE_PROTOCOL, f"this version of {service} is not understood; nothing is changed"
