"""The one error taxonomy: a stable code for everything that can go wrong.

A code is a promise to operators: it is the same in the log, in ``mcd-rt status``, in the metrics and
in the docs (promise 9 of the design). Rename none; add at the end of its group.
"""

from enum import StrEnum, unique

from mcd_rt.frozen import frozen


@unique
class Code(StrEnum):
    """What went wrong, as a stable word."""

    # What the node is told
    CONFIG_INVALID = "config-invalid"
    CONFIG_MISSING = "config-missing"
    SETTINGS_INVALID = "settings-invalid"
    # The image and what is in it
    IMAGE_MISSING = "image-missing"
    IMAGE_NOT_PINNED = "image-not-pinned"
    IMAGE_UNREADABLE = "image-unreadable"
    IMAGE_DIGEST_MISMATCH = "image-digest-mismatch"
    IMAGE_UNSAFE = "image-unsafe"
    IMAGE_TOO_LARGE = "image-too-large"
    IMAGE_UNAUTHORIZED = "image-unauthorized"
    IMAGE_NOT_FOUND = "image-not-found"
    IMAGE_UNTRUSTED_REGISTRY = "image-untrusted-registry"
    IMAGE_REJECTED_BY_POLICY = "image-rejected-by-policy"
    IMAGE_WITHOUT_KERNEL = "image-without-kernel"
    PACKAGES_INCOMPLETE = "packages-incomplete"
    PACKAGES_AMBIGUOUS = "packages-ambiguous"
    PACKAGE_CORRUPT = "package-corrupt"
    PACKAGE_UNSIGNED = "package-unsigned"
    PACKAGE_SIGNATURE_BAD = "package-signature-bad"
    PACKAGE_WRONG_ARCHITECTURE = "package-wrong-architecture"
    CACHE_CORRUPT = "cache-corrupt"
    CACHE_FULL = "cache-full"
    WORKER_FAILED = "worker-failed"
    WORKER_TIMEOUT = "worker-timeout"
    OS_IMAGE_UNSUPPORTED = "os-image-unsupported"
    # The node and its services
    HOST_UNREADABLE = "host-unreadable"
    BUS_UNAVAILABLE = "bus-unavailable"
    RPM_OSTREE_UNAVAILABLE = "rpm-ostree-unavailable"
    RPM_OSTREE_TIMEOUT = "rpm-ostree-timeout"
    RPM_OSTREE_BUSY = "rpm-ostree-busy"
    RPM_OSTREE_DENIED = "rpm-ostree-denied"
    RPM_OSTREE_PROTOCOL = "rpm-ostree-protocol"
    TRANSACTION_FAILED = "transaction-failed"
    TRANSACTION_LOST = "transaction-lost"
    TRANSACTION_FOREIGN = "transaction-foreign"
    STAGED_MISMATCH = "staged-mismatch"
    STAGED_BY_ANOTHER = "staged-by-another"
    WAITING_FOR_BASE = "waiting-for-base"
    BASE_UNKNOWN = "base-unknown"
    BASE_HAS_KERNEL = "base-has-kernel"
    KERNEL_OVERRIDDEN = "kernel-overridden"
    ARCHITECTURE_UNSUPPORTED = "architecture-unsupported"
    LAYERING_LOCKED = "layering-locked"
    BOOT_SPACE = "boot-space"
    DISK_SPACE = "disk-space"
    MEMORY_LOW = "memory-low"
    FIPS_MISMATCH = "fips-mismatch"
    FIPS_REFUSED = "fips-refused"
    TUNED_LEFT_ALONE = "tuned-left-alone"
    HOST_EXHAUSTED = "host-exhausted"
    # The reboot and after
    FINALIZE_FAILED = "finalize-failed"
    REBOOT_REFUSED = "reboot-refused"
    REBOOT_STUCK = "reboot-stuck"
    NOT_FINALIZED = "not-finalized"
    SHUTDOWN_SKIPPED = "shutdown-skipped"
    ROLLED_BACK = "rolled-back"
    BOOTED_ANOTHER = "booted-another"
    VERIFICATION_FAILED = "verification-failed"
    TARGET_HELD = "target-held"
    REBOOT_BUDGET_SPENT = "reboot-budget-spent"
    FIRSTBOOT_TIMEOUT = "firstboot-timeout"
    HOOK_FAILED = "hook-failed"
    HOOK_TIMEOUT = "hook-timeout"
    HOOK_REFUSED = "hook-refused"
    STRATEGY_MISSING = "strategy-missing"
    LOCK_REFUSED = "lock-refused"
    LOCK_UNREACHABLE = "lock-unreachable"
    LOCK_PROTOCOL = "lock-protocol"
    PERMISSION_INVALID = "permission-invalid"
    SENTINEL_FAILED = "sentinel-failed"
    # The agent itself
    RECORD_UNREADABLE = "record-unreadable"
    RECORD_TOO_NEW = "record-too-new"
    WRITE_FAILED = "write-failed"
    AGENT_RUNNING = "agent-running"
    AGENT_NOT_RUNNING = "agent-not-running"
    CONTROL_REFUSED = "control-refused"
    SIMULATION_FAILED = "simulation-failed"
    INTERNAL_ERROR = "internal-error"
    METRICS_UNAVAILABLE = "metrics-unavailable"


def spelled_out(text: str) -> str:
    r"""A text for people without control characters but the ends of its lines: ``\x1b`` instead of an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


@frozen
class Failure:
    """One failure as a value: what an outcome, a status or a log line carries.

    ``message`` names the thing and the place, ``hint`` the way out; both are sentences for people. What no terminal
    should be sent, such as the escape sequences in a name somebody else chose, is spelled out in them.
    """

    code: Code
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        """Spell out control characters, whichever way the text goes from here."""
        object.__setattr__(self, "message", spelled_out(self.message))
        object.__setattr__(self, "hint", spelled_out(self.hint))

    def __str__(self) -> str:
        """One line for a log: the code, what happened, the way out."""
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")


_WAYS_OUT = {
    Code.WORKER_FAILED: "it is tried again; `journalctl -u 'mcd-rt-fetch@*' -u 'mcd-rt-inspect@*'` may have more",
    Code.RPM_OSTREE_PROTOCOL: "report it with what `mcd-rt collect` writes, and with `rpm-ostree --version`",
    Code.INTERNAL_ERROR: "report it with what `mcd-rt collect` writes",
}
"""For what has many places and one way out."""


class AgentError(Exception):
    """A failure on its way to whoever can decide about it; the only exception that crosses rooms."""

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        """Carry ``Failure(code, message, hint)``; a few codes have a way out where none is given."""
        self.failure = Failure(code, message, hint or _WAYS_OUT.get(code, ""))
        super().__init__(self.failure.message)


class ConfigInvalid(AgentError):
    """A config that cannot be read, parsed or believed, with its place where the format allows one."""

    def __init__(self, message: str, hint: str = "", *, line: int | None = None, column: int | None = None) -> None:
        """Line and column count from 1."""
        super().__init__(Code.CONFIG_INVALID, message, hint)
        self.line = line
        self.column = column
