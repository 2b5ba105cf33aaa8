"""The agent's own settings, as values; ``mcd_rt.settings`` reads them from drop-ins.

All times are seconds, all sizes bytes.
"""

from dataclasses import field

from mcd_rt.frozen import frozen


@frozen
class NodeConfigSettings:
    """``[node_config]``: where the wanted kernel type comes from.

    ``sources`` are the places of the rendered config, of which the first that has one counts
    (``reference/machine-config-daemon.md`` 2.4); ``directories`` hold MachineConfigs that are added to it.
    """

    sources: tuple[str, ...] = (
        "/etc/machine-config-daemon/currentconfig",
        "/etc/mcd-currentconfig.json",
        "/etc/mcs-machine-config-content.json",
        "/etc/ignition-machine-config-encapsulated.json",
    )
    directories: tuple[str, ...] = ("/etc/mcd-rt/machineconfig.d",)
    settle: float = 1.0


@frozen
class AgentSettings:
    """``[agent]``: who manages the kernel.

    ``manage`` is ``manage``, ``observe`` (change nothing, say what runs) or ``auto``: observe where a
    machine-config-daemon does it (``plan/management.py``).
    """

    manage: str = "auto"


@frozen
class OsSettings:
    """``[os]``: who updates the OS, and where kernel-rt may come from.

    ``manage`` is ``kernel-only`` (others rebase, and kernel-rt comes only from the image the base came from) or
    ``image`` (the OS image of the config and the kernel are brought in one assembly). ``accept_unknown_base``: take
    the packages of the config's image although it is not known which one the base came from.
    """

    manage: str = "kernel-only"
    accept_unknown_base: bool = False


@frozen
class KernelArgumentsSettings:
    """``[kernel_arguments]``: whether those of the config are brought to the node at all."""

    manage: bool = True


@frozen
class TuningSettings:
    """``[tuning]``: what comes and goes with the real-time kernel.

    ``kernel_arguments`` are added to those of the config; ``tuned_profile`` is switched to over tuned's D-Bus API
    while that kernel runs (empty: tuned is left alone).
    """

    kernel_arguments: tuple[str, ...] = ()
    tuned_profile: str = ""


@frozen
class PolicySettings:
    """``[policy]``: ``fips`` is ``allow`` or ``refuse``: whether a FIPS node may have the real-time kernel."""

    fips: str = "allow"


@frozen
class FirstbootSettings:
    """``[firstboot]``: how long the change before the first workload may take, reboots not counted."""

    timeout: float = 900.0


@frozen
class ContentSettings:
    """``[content]``: limits around what comes out of an image, whom to trust, and who reads it.

    ``trust`` is ``require`` (signatures by one of ``keys``: files, or directories of them) or ``digest-only``.
    ``authfile`` are tried in their order. ``worker`` is ``socket`` (units of the host), ``child`` or ``auto``.
    ``allow_tags``: an image named by tag is resolved once, and the digest recorded. ``splay``: the nodes of a pool
    spread their fetches over as long.
    """

    max_packages: int = 64
    max_package_bytes: int = 1 << 30
    max_layers: int = 512
    max_cache_bytes: int = 4 << 30
    fetch_timeout: float = 3600.0
    idle_timeout: float = 120.0
    trust: str = "require"
    keys: tuple[str, ...] = ("/etc/pki/rpm-gpg",)
    authfile: tuple[str, ...] = (
        "${CREDENTIALS_DIRECTORY}/pull-secret",
        "${CREDENTIALS_DIRECTORY}/ostree-auth",
        "/run/ostree/auth.json",
        "/var/lib/kubelet/config.json",
    )
    worker: str = "auto"
    allow_tags: bool = False
    splay: float = 0.0


@frozen
class RpmOstreeSettings:
    """``[rpm_ostree]``: deadlines for answers and for whole transactions.

    A call may wait for rpm-ostreed to start and load the sysroot: its own client waits 5 minutes
    (``rpm-ostree-dbus.md`` 1).
    """

    call_timeout: float = 300.0
    connect_timeout: float = 15.0
    transaction_timeout: float = 3600.0


@frozen
class WindowSettings:
    """``[reboot.window]``: for the strategy ``window``.

    ``windows`` are spelled as ``model.window`` says, in the civil time of ``time_zone``; ``deadline`` is how long
    something may be staged before it is rebooted into at any time, 0 for ever.
    """

    windows: tuple[str, ...] = ()
    time_zone: str = "UTC"
    deadline: float = 0.0


@frozen
class FleetLockSettings:
    """``[reboot.fleet_lock]``: for the strategy ``fleet-lock``.

    ``id`` is what this node calls itself (empty: made from its machine id), ``ca`` a file of certificates that vouch
    for the server (empty: the host's). ``interval`` is the time between two questions, ``timeout`` that of an answer.
    """

    url: str = ""
    group: str = "default"
    id: str = ""
    ca: str = ""
    timeout: float = 30.0
    interval: float = 120.0


@frozen
class SentinelSettings:
    """``[reboot.sentinel]``: for the strategy ``sentinel``, the file that others watch.

    By default where the service may write: kured's own default is in a directory of root's.
    """

    path: str = "/run/mcd-rt/reboot-required"


@frozen
class PermissionFileSettings:
    """``[reboot.permission_file]``: for the strategy ``permission-file``, the file that permits."""

    path: str = "/etc/mcd-rt/reboot-permitted"


@frozen
class RebootSettings:
    """``[reboot]``: when, and the brake (promise 6).

    ``splay``: reboots that may be at the same time are spread over as long. ``warning`` is how long before it users are
    told, ``inhibitor_wait`` how long somebody who blocks the reboot is waited for before that is a failure.
    """

    strategy: str = "auto"
    attempts_per_target: int = 3
    per_day: int = 4
    stuck_after: float = 600.0
    splay: float = 0.0
    warning: float = 0.0
    inhibitor_wait: float = 60.0
    window: WindowSettings = field(default_factory=WindowSettings)
    fleet_lock: FleetLockSettings = field(default_factory=FleetLockSettings)
    sentinel: SentinelSettings = field(default_factory=SentinelSettings)
    permission_file: PermissionFileSettings = field(default_factory=PermissionFileSettings)


@frozen
class HooksSettings:
    """``[hooks]``: programs around the reboot. ``timeout`` is that of one of them.

    ``run`` is ``socket`` (the unit of the host, root), ``child`` (with the agent's own rights) or ``auto``.
    """

    timeout: float = 900.0
    run: str = "auto"


@frozen
class RetrySettings:
    """``[retry]``: the delay between passes that failed: exponential, with jitter, up to a ceiling.

    ``patient`` is the one after what only somebody else can mend, such as a registry that refuses us.
    """

    initial: float = 5.0
    ceiling: float = 900.0
    patient: float = 3600.0


@frozen
class MetricsSettings:
    """``[metrics]``: where they can be had.

    ``listen`` is ``ADDRESS:PORT``, ``unix:/path`` or empty for no server; ``textfile`` an absolute path in the
    directory of node_exporter's textfile collector, or empty for none.
    """

    listen: str = "127.0.0.1:8654"
    textfile: str = ""


@frozen
class ControlSettings:
    """``[control]``: who may speak with the running agent besides root: the members of ``group``, or nobody."""

    group: str = ""


@frozen
class Settings:
    """All of them."""

    node_config: NodeConfigSettings = field(default_factory=NodeConfigSettings)
    agent: AgentSettings = field(default_factory=AgentSettings)
    os: OsSettings = field(default_factory=OsSettings)
    kernel_arguments: KernelArgumentsSettings = field(default_factory=KernelArgumentsSettings)
    tuning: TuningSettings = field(default_factory=TuningSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    firstboot: FirstbootSettings = field(default_factory=FirstbootSettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    rpm_ostree: RpmOstreeSettings = field(default_factory=RpmOstreeSettings)
    reboot: RebootSettings = field(default_factory=RebootSettings)
    hooks: HooksSettings = field(default_factory=HooksSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
