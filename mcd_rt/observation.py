"""What a pass works with, and its first look: what is wanted, and what is there."""

from dataclasses import field

from mcd_rt.act.tune import TuningSeen
from mcd_rt.dbus.rpmostree import open_rpm_ostree
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.desired.sources import ConfigSeen, NodeConfig, recall_node_config
from mcd_rt.effects import Effects
from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lockseen import LockSeen
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.host import Host
from mcd_rt.model.record import Record
from mcd_rt.model.settings import Settings
from mcd_rt.model.state import State
from mcd_rt.observed.host import read_host
from mcd_rt.observed.mcd import find_mcd
from mcd_rt.observed.recollection import Recollection, deployments_identity
from mcd_rt.plan.management import judge_observed, reason_to_observe
from mcd_rt.plan.outcome import Settled
from mcd_rt.plan.situation import Neighbour
from mcd_rt.record import load_record
from mcd_rt.report.reporter import Reporter


@frozen
class Context:
    """What a pass works with; ``may_reboot`` is false for ``apply --no-reboot``, ``reboot_now`` true for ``reboot``.

    ``seen``, ``config_seen``, ``tuning_seen`` and ``lock_seen`` are what the pass before saw, so that what has not
    changed is not asked again.
    """

    paths: HostPaths
    settings: Settings
    effects: Effects
    reporter: Reporter
    may_reboot: bool = True
    reboot_now: bool = False
    seen: Recollection = field(default_factory=Recollection)
    config_seen: ConfigSeen = field(default_factory=ConfigSeen)
    tuning_seen: TuningSeen = field(default_factory=TuningSeen)
    lock_seen: LockSeen = field(default_factory=LockSeen)


@frozen
class Observation:
    """What a pass found before it planned; deployments that are not ``fresh`` are those of an earlier pass."""

    config: NodeConfig
    host: Host
    deployments: Deployments
    record: Record
    neighbour: Neighbour | None
    fresh: bool = True


async def observe(context: Context) -> Observation | Settled:
    """Steps 1 and 2: what is wanted and what is there; or why this node is not ours to change."""
    host = read_host(context.paths)
    context.reporter.show_host(host)
    if not host.supported:
        name = f"{host.os_id} {host.os_variant} {host.os_version}".replace("  ", " ").strip()
        marker = context.paths.below("/run/ostree-booted")
        why = "" if host.ostree else f" (not booted from an ostree deployment: there is no {marker})"
        summary = f"{name or 'this host'} is not an image-based host this agent serves{why}; it is left alone"
        return Settled(State.UNSUPPORTED, summary)
    config = recall_node_config(context.paths, context.settings.node_config, context.config_seen)
    if isinstance(config, Absent):
        hint = "it is waited for; [node_config] sources says where it is looked for"
        return Settled(State.WAITING, config.reason, Failure(Code.CONFIG_MISSING, config.reason, hint))
    context.reporter.show_desired(config.desired)
    mcd = find_mcd(context.paths)
    foreign = reason_to_observe(context.settings.agent.manage, mcd, config.rendered_kernel_type)
    if foreign:
        return judge_observed(config.desired, host, foreign)
    record = load_record(context.paths)
    context.reporter.show_record(record)
    recalled = context.seen.recall(deployments_identity(context.paths, host.boot_id))
    deployments = recalled or await ask_deployments(context, host)
    neighbour = Neighbour(relieved=context.settings.agent.manage == "manage") if mcd else None
    return Observation(config, host, deployments, record, neighbour, fresh=recalled is None)


async def ask_deployments(context: Context, host: Host) -> Deployments:
    """What rpm-ostree says is there now, once no transaction of anybody is going on."""
    identity = deployments_identity(context.paths, host.boot_id)
    async with open_rpm_ostree(context.settings.rpm_ostree, context.effects) as client:
        active = await client.active_transaction()
        if active is not None:
            busy = f"another client's {active.method} (from {active.sender}) is going on: waiting for its end"
            context.reporter.enter(State.WAITING, busy)
            began = context.effects.monotonic()
            await client.wait_until_idle(context.settings.rpm_ostree.transaction_timeout)
            context.reporter.metrics.count_wait(context.effects.monotonic() - began)
            identity = deployments_identity(context.paths, host.boot_id)
        deployments = await client.deployments()
    context.seen.keep(identity, deployments)
    context.reporter.show_deployments(deployments)
    return deployments
