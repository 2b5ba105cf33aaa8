"""What a line of the log tells besides its text, for who looks for it by field (``journalctl MCD_RT_STATE=held``)."""

import hashlib
from collections.abc import Iterator

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.state import State


@frozen
class Event:
    """A line of the log: the state that was entered, the failure that was met, or both.

    ``config`` is the name of the config that is followed, ``kernel_type`` what it asks for, ``target`` the identity
    of the change under way; empty where there is none.
    """

    state: State | None = None
    failure: Failure | None = None
    config: str = ""
    kernel_type: str = ""
    target: str = ""

    def fields(self) -> Iterator[tuple[str, str]]:
        """Names and values, each value there is; the id is that of the failure where there is one."""
        subject = self.state if self.failure is None else self.failure.code
        if subject is not None:
            yield "MESSAGE_ID", message_id(subject)
        yield "MCD_RT_STATE", self.state or ""
        yield "MCD_RT_CODE", "" if self.failure is None else self.failure.code
        yield "MCD_RT_HINT", "" if self.failure is None else self.failure.hint
        yield "MCD_RT_CONFIG", self.config
        yield "MCD_RT_KERNEL_TYPE", self.kernel_type
        yield "MCD_RT_TARGET", self.target


def message_id(subject: State | Code) -> str:
    """The journal's id of what is said of a state or a code: 128 bits of its name, so that it is never another."""
    kind = "state" if isinstance(subject, State) else "code"
    return hashlib.sha256(f"mcd-rt {kind} {subject}".encode()).hexdigest()[:32]
