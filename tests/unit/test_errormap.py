"""Every error of a call has a code: by its name and GIO's number, by its text where old versions have only that."""

import pytest

from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.errormap import converted
from mcd_rt.dbus.names import GIO_ERROR
from mcd_rt.errors import Code

ERROR = "org.freedesktop.DBus.Error."


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        # >= 2021.4, then older; the title is NULL where the client gave none
        (f"{GIO_ERROR}26", "Transaction in progress: upgrade\n You can cancel the current", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}26", "whatever", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}0", "Transaction in progress: (null)", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}0", "System transaction in progress", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}0", "Reboot initiated, cannot start new transaction", Code.TRANSACTION_FAILED),
        (f"{GIO_ERROR}0", "During: Transaction in progress", Code.TRANSACTION_FAILED),
        (f"{GIO_ERROR}1", 'OS name "x" not found', Code.TRANSACTION_FAILED),
        (f"{GIO_ERROR}2", "only begins like 26", Code.TRANSACTION_FAILED),
        (f"{GIO_ERROR}36", "GDBus.Error:org.freedesktop.systemd1.UnitMasked: x", Code.RPM_OSTREE_UNAVAILABLE),
        (f"{GIO_ERROR}260", "only begins like 26", Code.TRANSACTION_FAILED),
        (f"{ERROR}AccessDenied", "rpmostreed OS operation UpdateDeployment not allowed", Code.RPM_OSTREE_DENIED),
        (f"{ERROR}NoReply", "Message recipient disconnected", Code.RPM_OSTREE_UNAVAILABLE),
        (f"{ERROR}ServiceUnknown", "", Code.RPM_OSTREE_UNAVAILABLE),
        (f"{ERROR}NameHasNoOwner", "", Code.RPM_OSTREE_UNAVAILABLE),
        (f"{ERROR}Spawn.ChildExited", "Launch helper exited", Code.RPM_OSTREE_UNAVAILABLE),
        (f"{ERROR}TimedOut", "Failed to activate service", Code.RPM_OSTREE_UNAVAILABLE),
        (f"{ERROR}UnknownMethod", "No such method", Code.RPM_OSTREE_PROTOCOL),
        (f"{ERROR}InvalidArgs", "No such property", Code.RPM_OSTREE_PROTOCOL),
        ("org.projectatomic.rpmostreed.Error.InvalidRefspec", "x", Code.RPM_OSTREE_PROTOCOL),
    ],
)
def test_an_answer_has_its_code(name, text, code):
    failure = converted(RemoteError(name, text), "rpm-ostreed", "UpdateDeployment", 5).failure
    assert failure.code is code
    assert failure.message == f"UpdateDeployment: {text or name}"
    assert failure.hint


def test_no_answer_has_its_code():
    failure = converted(TimeoutError(), "rpm-ostreed", "Reload", 300).failure
    assert failure.code is Code.RPM_OSTREE_TIMEOUT
    assert failure.message == "rpm-ostreed did not answer Reload in 300 s"


def test_no_bus_has_its_code():
    failure = converted(PeerClosed("closed by the peer"), "rpm-ostreed", "Reload", 300).failure
    assert failure.code is Code.BUS_UNAVAILABLE
    assert failure.message == "Reload: closed by the peer"
