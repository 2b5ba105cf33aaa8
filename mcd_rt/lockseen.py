"""What the lock server last said, between passes: whatever wakes the agent, it is not asked more often for it."""

from mcd_rt.reboot.situation import LockDenied, LockState, LockUnknown


class LockSeen:
    """Forgotten with the process; the record knows what we may hold."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.state: LockState = LockUnknown()

    def deny(self, denied: LockDenied) -> None:
        """The last answer was no, or none came."""
        self.state = denied

    def forget(self) -> None:
        """Whatever was said is no longer of interest."""
        self.state = LockUnknown()
