"""What a staged change waits for before its reboot: the words that status, JSON and metrics share."""

from enum import StrEnum, unique

from mcd_rt.errors import Failure
from mcd_rt.frozen import frozen


@unique
class Gate(StrEnum):
    """What has to open before the node reboots."""

    HOLD = "hold"
    CHOICE = "choice"
    PERSON = "person"
    WINDOW = "window"
    DEADLINE = "deadline"
    SPLAY = "splay"
    LOCK = "lock"
    PERMISSION = "permission"
    OTHERS = "others"
    SERVICE = "service"
    INHIBITOR = "inhibitor"
    HOOK = "hook"
    WARNING = "warning"


@frozen
class Awaiting:
    """One gate; ``name`` is the file, window, server or program by that name that opens it, where there is one.

    ``reason`` is why it is not open yet, where that has a code and is no failure: a lock that others have.
    """

    gate: Gate
    name: str = ""
    reason: Failure | None = None
