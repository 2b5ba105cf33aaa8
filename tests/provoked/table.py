"""The table: for every code how it is provoked, or the argument why it is seen by whoever typed a command alone."""

from dataclasses import replace
from pathlib import Path

from mcd_rt.errors import Code
from mcd_rt.model.awaiting import Gate
from mcd_rt.model.state import State
from mcd_rt.sim.bases import Release, base_of
from mcd_rt.sim.hostfiles import lock_layering
from mcd_rt.sim.image import kernel_rt_packages
from mcd_rt.sim.world import Origin, Rpm, Tree
from tests.integration.lockserver import FULL, response
from tests.provoked.levers import (
    after_reboot,
    another_stages,
    as_first_boot,
    asking,
    booted_from,
    doing,
    files_cannot_be_opened,
    finalizer_said,
    hook,
    host_file,
    image_of,
    lock_answers,
    no_room_on,
    packages_from,
    planner_repeats_itself,
    registry_says,
    wants_default,
    write_config,
)
from tests.provoked.row import Row, of_fault
from tests.reliability.faults_levers import both, switched
from tests.reliability.faults_services import foreign_transaction
from tests.reliability.faults_trial import Trial

_RELEASE = "284.rt14.284.el9"
_SENTINEL = '[reboot]\nstrategy = "sentinel"\n[reboot.sentinel]\npath = "/run/asks/reboot-required"\n'
_ANSWER = "an answer to whoever typed a command: the agent, if one runs, goes on as it was and has nothing to say of it"


def _rpms(release: str = _RELEASE, architecture: str = "x86_64", **more: object) -> dict[str, bytes]:
    return kernel_rt_packages("5.14.0", release, architecture, 9, **more)


def _cut_off() -> dict[str, bytes]:
    name = f"kernel-rt-modules-5.14.0-{_RELEASE}.x86_64.rpm"
    return _rpms() | {name: _rpms()[name][:20000]}


def _damage_image(trial: Trial) -> None:
    blobs = Path(trial.scene.image.place) / "blobs/sha256"
    layer = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    whole = layer.read_bytes()
    layer.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])


def _os_of_another(trial: Trial) -> None:
    write_config(trial, osImageURL=str(image_of(trial.images / "other", _rpms())))


def _without_origin(tree: Tree) -> Tree:
    base = replace(tree.base, refspecs=("rhcos:stable",))
    return Tree(base, replace(tree.origin, refspec="rhcos:stable", custom=None))


def _with_hotfix(tree: Tree) -> Tree:
    hotfix = Rpm("kernel-core-5.14.0-284.hotfix1.el9.x86_64", "b" * 64, "5.14.0-284.hotfix1.el9.x86_64")
    return Tree(tree.base, replace(tree.origin, replacements=(hotfix,)))


def _with_own_realtime(_tree: Tree) -> Tree:
    base = base_of(Release.EL9_REALTIME)
    return Tree(base, Origin(base.refspecs[0]))


def _no_rpm_ostree_command(trial: Trial) -> None:
    trial.node.paths.below("/usr/bin/rpm-ostree").write_text("#!/bin/sh\necho no >&2; exit 1\n")


def _another_kernel(trial: Trial) -> None:
    trial.node.paths.below("/proc/sys/kernel/osrelease").write_text("5.14.0-1.kexec.x86_64\n")


_TOLD = (
    Row(Code.CONFIG_INVALID, asking(kernelType="realtiem")),
    Row(Code.CONFIG_MISSING, doing(lambda trial: trial.scene.config.unlink())),
    of_fault(Code.SETTINGS_INVALID, "settings are broken while it runs"),
)

_IMAGE = (
    Row(Code.IMAGE_MISSING, asking(osImageURL=None)),
    Row(Code.IMAGE_NOT_PINNED, asking(osImageURL="registry.example/os:latest")),
    of_fault(Code.IMAGE_UNREADABLE, "image is away"),
    Row(Code.IMAGE_DIGEST_MISMATCH, doing(_damage_image), cached=False),
    Row(Code.IMAGE_UNSAFE, packages_from(lambda: _rpms() | {"../../etc/cron.d/job": b"* * * * * root true\n"})),
    Row(Code.IMAGE_TOO_LARGE, doing(lambda _trial: None), "[content]\nmax_package_bytes = 1000\n", cached=False),
    Row(Code.IMAGE_UNAUTHORIZED, registry_says("reading manifest: unauthorized: authentication required")),
    Row(Code.IMAGE_NOT_FOUND, registry_says("reading manifest: manifest unknown")),
    Row(Code.IMAGE_UNTRUSTED_REGISTRY, registry_says("tls: failed to verify certificate: x509: unknown authority")),
    Row(Code.IMAGE_REJECTED_BY_POLICY, registry_says("Source image rejected: A signature was required")),
    Row(Code.IMAGE_WITHOUT_KERNEL, packages_from(lambda: {"pkglist.txt": b""})),
    Row(Code.PACKAGES_INCOMPLETE, packages_from(lambda: _rpms(suffixes=("core",)))),
    Row(Code.PACKAGES_AMBIGUOUS, packages_from(lambda: _rpms() | _rpms("300.rt14.1.el9"))),
    Row(Code.PACKAGE_CORRUPT, packages_from(_cut_off)),
    Row(Code.PACKAGE_UNSIGNED, packages_from(lambda: _rpms(secret_key=""))),
    Row(
        Code.PACKAGE_SIGNATURE_BAD,
        host_file("/etc/other-keys/none", "no key"),
        '[content]\nkeys = ["/etc/other-keys"]\n',
        cached=False,
    ),
    Row(Code.PACKAGE_WRONG_ARCHITECTURE, packages_from(lambda: _rpms(architecture="aarch64"))),
    of_fault(Code.CACHE_CORRUPT, "cache is damaged before it is used"),
    Row(Code.CACHE_FULL, doing(lambda _trial: None), "[content]\nmax_cache_bytes = 1000\n", cached=False),
    of_fault(Code.WORKER_FAILED, "worker dies"),
    of_fault(Code.WORKER_TIMEOUT, "worker hangs"),
    Row(Code.OS_IMAGE_UNSUPPORTED, doing(_os_of_another), '[os]\nmanage = "image"\n'),
)

_NODE = (
    Row(Code.HOST_UNREADABLE, host_file("/proc/sys/kernel/osrelease", None)),
    of_fault(Code.BUS_UNAVAILABLE, "no descriptors left for the bus"),
    Row(Code.RPM_OSTREE_UNAVAILABLE, doing(_no_rpm_ostree_command)),
    of_fault(Code.RPM_OSTREE_TIMEOUT, "rpm-ostreed answers nothing"),
    of_fault(Code.RPM_OSTREE_BUSY, "another client's transaction does not end"),
    of_fault(Code.RPM_OSTREE_DENIED, "access denied: UpdateDeployment"),
    of_fault(Code.RPM_OSTREE_PROTOCOL, "no sense: Deployments"),
    of_fault(Code.TRANSACTION_FAILED, "transaction fails: solver"),
    of_fault(Code.TRANSACTION_LOST, "rpm-ostreed dies: in the middle"),
    Row(Code.TRANSACTION_FOREIGN, another_stages(locked=False, when=State.STAGING)),
    of_fault(Code.STAGED_MISMATCH, "success that is none: pretended"),
    Row(Code.STAGED_BY_ANOTHER, another_stages(locked=True)),
    Row(Code.WAITING_FOR_BASE, doing(_os_of_another)),
    Row(Code.BASE_UNKNOWN, booted_from(_without_origin)),
    Row(Code.BASE_HAS_KERNEL, booted_from(_with_own_realtime, wants_default)),
    Row(Code.KERNEL_OVERRIDDEN, booted_from(_with_hotfix)),
    Row(Code.ARCHITECTURE_UNSUPPORTED, asking(kernelType="64k-pages")),
    Row(Code.LAYERING_LOCKED, doing(lambda trial: lock_layering(trial.node.root))),
    Row(Code.BOOT_SPACE, finalizer_said("Finalizing staged deployment", "error: copy: No space left on device")),
    Row(Code.DISK_SPACE, no_room_on("/sysroot", 1 << 20)),
    Row(Code.MEMORY_LOW, host_file("/proc/meminfo", "MemAvailable:       1024 kB\n")),
    Row(Code.FIPS_MISMATCH, asking(fips=True)),
    Row(Code.FIPS_REFUSED, host_file("/proc/sys/crypto/fips_enabled", "1\n"), '[policy]\nfips = "refuse"\n'),
    Row(Code.TUNED_LEFT_ALONE, doing(lambda _trial: None), '[tuning]\ntuned_profile = "realtime"\n'),
    Row(Code.HOST_EXHAUSTED, files_cannot_be_opened()),
)

_REBOOT = (
    of_fault(Code.FINALIZE_FAILED, "finalize is refused"),
    of_fault(Code.REBOOT_REFUSED, "an inhibitor stays"),
    of_fault(Code.REBOOT_STUCK, "the reboot never comes"),
    of_fault(Code.NOT_FINALIZED, "not finalized at shutdown, once"),
    Row(Code.SHUTDOWN_SKIPPED, finalizer_said("Finished OSTree Finalize Staged Deployment.")),
    of_fault(Code.ROLLED_BACK, "the boot order is turned"),
    of_fault(Code.BOOTED_ANOTHER, "the boot loader boots the old one"),
    Row(Code.VERIFICATION_FAILED, after_reboot(_another_kernel)),
    of_fault(Code.TARGET_HELD, "not finalized at shutdown, ever"),
    Row(Code.REBOOT_BUDGET_SPENT, switched(finalize_fails=True), "[reboot]\nper_day = 1\n"),
    Row(
        Code.FIRSTBOOT_TIMEOUT,
        both(foreign_transaction, doing(lambda _trial: None)),
        "[firstboot]\ntimeout = 0.2\n",
        start=as_first_boot,
    ),
    Row(Code.HOOK_FAILED, hook("echo cannot evict db-0; exit 1")),
    Row(Code.HOOK_TIMEOUT, hook("exec sleep 1000"), "[hooks]\ntimeout = 0.2\n"),
    Row(Code.HOOK_REFUSED, hook("exit 0", mode=0o644)),
    Row(Code.STRATEGY_MISSING, host_file("/var/lib/kubelet/kubeconfig", "")),
    Row(Code.LOCK_REFUSED, lock_answers(response("409 Conflict", FULL)), gate=Gate.LOCK),
    Row(Code.LOCK_UNREACHABLE, lock_answers(response("503 Service Unavailable"))),
    Row(Code.LOCK_PROTOCOL, lock_answers(response("404 Not Found"))),
    Row(
        Code.PERMISSION_INVALID,
        host_file("/etc/mcd-rt/reboot-permitted", "tomorrow\n"),
        '[reboot]\nstrategy = "permission-file"\n',
    ),
    Row(Code.SENTINEL_FAILED, host_file("/run/asks", "a file"), _SENTINEL),
)

_AGENT = (
    of_fault(Code.RECORD_UNREADABLE, "record: truncated"),
    of_fault(Code.RECORD_TOO_NEW, "record: of a newer agent"),
    of_fault(Code.WRITE_FAILED, "ENOSPC: record"),
    Row(Code.AGENT_RUNNING, unseen=_ANSWER),
    Row(Code.AGENT_NOT_RUNNING, unseen=f"{_ANSWER}; and here none runs"),
    Row(Code.CONTROL_REFUSED, unseen=_ANSWER),
    Row(Code.SIMULATION_FAILED, unseen=f"{_ANSWER}; no host has the simulator"),
    Row(Code.INTERNAL_ERROR, planner_repeats_itself()),
    of_fault(Code.METRICS_UNAVAILABLE, "the metrics' port is taken"),
)

ROWS = (*_TOLD, *_IMAGE, *_NODE, *_REBOOT, *_AGENT)
