"""What the lock server last said, between passes: whatever wakes the agent, it is not asked more often for it."""

from mcd_rt.reboot.situation import LockDenied, LockState, LockUnknown


class LockSeen:
    """Forgotten with the process; the record knows what we may hold."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.state: LockState = LockUnknown()
        self._since: float | None = None

    def deny(self, denied: LockDenied) -> None:
        """The last answer was no, or none came."""
        self.state = denied
        self._since = denied.at if self._since is None else self._since

    def waited(self, now: float) -> float:
        """For how long it has been asked, since it first said no."""
        return 0.0 if self._since is None else now - self._since

    def forget(self) -> None:
        """Whatever was said is no longer of interest."""
        self.state, self._since = LockUnknown(), None
