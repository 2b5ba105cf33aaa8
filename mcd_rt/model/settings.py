"""The agent's own settings, as values; ``mcd_rt.settings`` reads them from drop-ins.

All times are seconds, all sizes bytes.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NodeConfigSettings:
    """``[node_config]``: where the wanted kernel type comes from."""

    sources: tuple[str, ...] = ("/etc/machine-config-daemon/currentconfig",)
    settle: float = 1.0


@dataclass(frozen=True, slots=True)
class OsSettings:
    """``[os]``: kernel-rt comes only from the image the base came from; what to do where that is not known."""

    accept_unknown_base: bool = False


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """``[content]``: limits around what comes out of an image."""

    max_packages: int = 64
    max_package_bytes: int = 1 << 30
    max_layers: int = 512
    fetch_timeout: float = 3600.0
    idle_timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class RpmOstreeSettings:
    """``[rpm_ostree]``: deadlines for answers and for whole transactions.

    A call may wait for rpm-ostreed to start and load the sysroot: its own client waits 5 minutes
    (``rpm-ostree-dbus.md`` 1).
    """

    call_timeout: float = 300.0
    connect_timeout: float = 15.0
    transaction_timeout: float = 3600.0


@dataclass(frozen=True, slots=True)
class RebootSettings:
    """``[reboot]``: when, and the brake (promise 6)."""

    strategy: str = "immediate"
    attempts_per_target: int = 3
    per_day: int = 4
    stuck_after: float = 600.0


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """``[retry]``: the delay between passes that failed: exponential, with jitter, up to a ceiling."""

    initial: float = 5.0
    ceiling: float = 900.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    node_config: NodeConfigSettings = field(default_factory=NodeConfigSettings)
    os: OsSettings = field(default_factory=OsSettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    rpm_ostree: RpmOstreeSettings = field(default_factory=RpmOstreeSettings)
    reboot: RebootSettings = field(default_factory=RebootSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
