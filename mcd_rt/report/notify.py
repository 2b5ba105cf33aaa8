"""Telling the service manager: sd_notify(3), without its library."""

import contextlib
import os
import socket


def notify(*assignments: str) -> None:
    """Send ``READY=1``, ``STATUS=...`` and the like; nothing where no service manager listens.

    A manager that does not take it is no reason to stop the agent, so its errors are not reported.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
    ):
        sender.settimeout(0)
        sender.sendto("\n".join(assignments).encode(), target)
