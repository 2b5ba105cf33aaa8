"""The table: every kind of fault from outside, what the agent must say meanwhile, and how it must end."""

import errno

from mcd_rt.control import Verb
from mcd_rt.dbus import bus, transaction
from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.sim.faults import ANY, DEPSOLVE_DEPENDENCY, END, PAYLOAD_CORRUPT, SCRIPT_POST, Die, Fail, LosePeers, Twist
from mcd_rt.sim.peer import Manner
from tests.reliability.faults_kinds import OLD, Kind
from tests.reliability.faults_levers import (
    at_finalize,
    at_step,
    bad_manners,
    boot_counting_gave_up,
    boot_order_turned,
    boots_later,
    both,
    clock_off,
    made_anew,
    old_entry_chosen,
    power_cut,
    rollback_typed,
    rolled_back,
    rolled_back_and_cleaned_up,
    switched,
    twisted,
)
from tests.reliability.faults_own import (
    cache_damaged,
    config_becomes,
    config_flips,
    failing_writes,
    image_away,
    lock_held,
    no_descriptors,
    port_taken,
    runtime_is_a_file,
    settings_broken,
    with_record,
    workers,
)
from tests.reliability.faults_services import (
    answering,
    bus_restarted,
    denied,
    dies_after,
    dies_when_finished,
    foreign_transaction,
    gone,
    idle_exit,
    logind,
    never,
    nonsense,
    rpm_ostree,
    systemd,
    wedged_and_restarted,
)

_RETRYING, _BLOCKED, _HELD, _STARTING = State.RETRYING, State.BLOCKED, State.HELD, State.STARTING
_LOST, _TIMEOUT, _MISMATCH = Code.TRANSACTION_LOST, Code.RPM_OSTREE_TIMEOUT, Code.STAGED_MISMATCH
_UNREADABLE = (_BLOCKED, Code.RECORD_UNREADABLE)
_WRITE_FAILED = (_RETRYING, Code.WRITE_FAILED)

_IMPATIENT = "[rpm_ostree]\ncall_timeout = 0.3\n"
_HURRIED = "[rpm_ostree]\ntransaction_timeout = 0.3\nconnect_timeout = 0.3\n"
_TWICE = "[reboot]\nattempts_per_target = 2\n"
_TEXTFILE = '[metrics]\ntextfile = "/var/lib/node_exporter/mcd-rt.prom"\n'
_WORKER = "[content]\nidle_timeout = 0.3\n"

_FINALIZE_REFUSED = Fail(ANY, "error: Expected staged base checksum")
_DAY, _YEARS = 24 * 3600.0, 10 * 365 * 24 * 3600.0
_LONG_BEFORE = -1_200_000_000.0
"""From 2026, before 2000."""

_DAEMON = (
    Kind("rpm-ostreed dies: before Start", answering(rpm_ostree, "UpdateDeployment", dies_after)),
    Kind("rpm-ostreed dies: at the first step", at_step(Die(ANY)), (_RETRYING, _LOST)),
    Kind("rpm-ostreed dies: in the middle", at_step(Die("Processing packages")), (_RETRYING, _LOST)),
    Kind(
        "rpm-ostreed dies: in the middle, 2020.8", at_step(Die("Processing packages")), (_RETRYING, _LOST), profile=OLD
    ),
    Kind("rpm-ostreed dies: staged, before Finished", at_step(Die(END))),
    Kind("rpm-ostreed dies: between Finished and read-back", dies_when_finished()),
    Kind("rpm-ostreed dies: while it finalizes", at_finalize(Die(ANY)), settings="[reboot]\nstuck_after = 0.2\n"),
    Kind(
        "rpm-ostreed dies: unlocked, before the reboot", at_finalize(Die(END)), settings="[reboot]\nstuck_after = 0.2\n"
    ),
    Kind("rpm-ostreed leaves when called (idle exit)", answering(rpm_ostree, "RegisterClient", idle_exit)),
    Kind("rpm-ostreed leaves when called, 2020.8", answering(rpm_ostree, "RegisterClient", idle_exit), profile=OLD),
    Kind("rpm-ostreed answers nothing", switched(mute=True), (_RETRYING, _TIMEOUT), 2, settings=_IMPATIENT),
    *(
        Kind(
            f"no answer: {asked}",
            answering(rpm_ostree, asked, never),
            (_RETRYING, _TIMEOUT),
            times,
            settings=_IMPATIENT,
        )
        for asked, times in (
            ("RegisterClient", 2),
            ("Deployments", 2),
            ("GetDeploymentBootConfig", 2),
            ("UpdateDeployment", 2),
            ("FinalizeDeployment", 2),
            ("Reload", 1),
        )
    ),
    *(
        Kind(f"no sense: {asked}", answering(rpm_ostree, asked, nonsense), (_BLOCKED, code), person=Verb.RETRY)
        for asked, code in (
            ("Deployments", Code.RPM_OSTREE_PROTOCOL),
            ("GetDeploymentBootConfig", Code.RPM_OSTREE_PROTOCOL),
            ("UpdateDeployment", Code.RPM_OSTREE_PROTOCOL),
        )
    ),
    *(
        Kind(
            f"access denied: {asked}",
            answering(rpm_ostree, asked, denied),
            (_BLOCKED, Code.RPM_OSTREE_DENIED),
            person=Verb.RETRY,
        )
        for asked in ("RegisterClient", "GetDeploymentBootConfig", "UpdateDeployment", "FinalizeDeployment")
    ),
    Kind(
        "access denied: Cleanup",
        both(twisted(Twist.INCOMPLETE), answering(rpm_ostree, "Cleanup", denied)),
        (_BLOCKED, Code.RPM_OSTREE_DENIED),
        person=Verb.RETRY,
    ),
)

_TRANSACTIONS = (
    Kind("another client's transaction goes on for long", foreign_transaction, (State.WAITING, None)),
    Kind(
        "another client's transaction does not end",
        foreign_transaction,
        (_RETRYING, Code.RPM_OSTREE_BUSY),
        3,
        hint="never cancelled",
        settings=_HURRIED,
    ),
    Kind(
        "a transaction never started wedges 2020.8",
        wedged_and_restarted,
        (_RETRYING, Code.RPM_OSTREE_BUSY),
        2,
        hint="systemctl restart rpm-ostreed",
        profile=OLD,
        settings=_HURRIED,
    ),
    *(
        Kind(f"transaction socket: {manner.name.lower()}", bad_manners(manner), (_RETRYING, code), 2, settings=_HURRIED)
        for manner, code in (
            (Manner.SILENT, _TIMEOUT),
            (Manner.CLOSING, _TIMEOUT),
            (Manner.LEAVING, _LOST),
        )
    ),
    Kind("transaction socket: closed at Start", at_step(LosePeers(ANY))),
    Kind("transaction socket: closed in the middle", at_step(LosePeers("Processing packages"))),
    Kind("transaction socket: closed at the end", at_step(LosePeers(END))),
    *(
        Kind(f"transaction fails: {name}", at_step(fault), (_RETRYING, Code.TRANSACTION_FAILED))
        for name, fault in (("solver", DEPSOLVE_DEPENDENCY), ("payload", PAYLOAD_CORRUPT), ("script", SCRIPT_POST))
    ),
    *(
        Kind(f"success that is none: {twist.name.lower()}", twisted(twist), (_RETRYING, _MISMATCH))
        for twist in (Twist.NO_CHANGE, Twist.PRETENDED, Twist.INCOMPLETE, Twist.ANOTHER)
    ),
    Kind("the lock is lost", twisted(Twist.LOCK_LOST), (_RETRYING, _MISMATCH)),
    Kind("the lock is lost, 2020.8", twisted(Twist.LOCK_LOST), (_RETRYING, _MISMATCH), profile=OLD),
    Kind("finalize is refused", at_finalize(_FINALIZE_REFUSED), (_RETRYING, Code.FINALIZE_FAILED)),
)

_REBOOT = (
    Kind("an inhibitor stays", switched(inhibitor="a backup"), (_RETRYING, Code.REBOOT_REFUSED), 3),
    Kind(
        "an inhibitor stays, 2020.8", switched(inhibitor="a backup"), (_RETRYING, Code.REBOOT_REFUSED), 3, profile=OLD
    ),
    Kind(
        "the reboot never comes",
        switched(reboot_stuck=True),
        (_RETRYING, Code.REBOOT_STUCK),
        2,
        settings="[reboot]\nstuck_after = 0.1\nper_day = 1\n",
    ),
    Kind("not finalized at shutdown, once", switched(finalize_fails=True), (_RETRYING, Code.NOT_FINALIZED)),
    Kind(
        "not finalized at shutdown, ever",
        switched(finalize_fails=True),
        (_HELD, Code.TARGET_HELD),
        stays=True,
        hint="mcd-rt retry",
        settings=_TWICE,
    ),
    Kind(
        "the boot loader boots the old one",
        switched(falls_back=True),
        (_BLOCKED, Code.BOOTED_ANOTHER),
        stays=True,
        hint="mcd-rt retry",
    ),
    Kind(
        "boot counting gives the target up",
        boot_counting_gave_up,
        (_BLOCKED, Code.ROLLED_BACK),
        stays=True,
        hint="mcd-rt retry",
    ),
    Kind(
        "the boot order is turned",
        boot_order_turned,
        (_HELD, Code.ROLLED_BACK),
        stays=True,
        hint="mcd-rt retry",
    ),
    Kind(
        "rolled back after it was verified",
        boots_later(rolled_back),
        (_HELD, Code.ROLLED_BACK),
        stays=True,
        hint="mcd-rt retry",
    ),
    Kind(
        "rolled back after it was verified, rebooted later",
        rollback_typed(),
        (_HELD, Code.ROLLED_BACK),
        times=2,
        stays=True,
        hint="mcd-rt retry",
    ),
    Kind(
        "the old entry is chosen after it was verified",
        boots_later(old_entry_chosen),
        (_BLOCKED, Code.BOOTED_ANOTHER),
        stays=True,
        hint="systemctl reboot",
    ),
    Kind("made anew after it was verified", boots_later(made_anew), (State.VERIFYING, None), 2),
    Kind(
        "rolled back and cleaned up after it was verified",
        boots_later(rolled_back_and_cleaned_up),
        (State.VERIFYING, None),
        2,
    ),
    Kind("power cut: waiting", both(foreign_transaction, power_cut(State.WAITING))),
    Kind("power cut: retrying", both(at_step(PAYLOAD_CORRUPT), power_cut(_RETRYING))),
    *(
        Kind(f"power cut: {state}", power_cut(state), cached=state is not State.FETCHING)
        for state in (State.FETCHING, State.STAGING, State.REBOOTING, State.VERIFYING)
    ),
    Kind("clock: ten years forward while staging", clock_off(_YEARS, State.STAGING)),
    Kind("clock: ten years back at the reboot", clock_off(-_YEARS, State.REBOOTING)),
    Kind("clock: before 2000 after the boot", clock_off(_LONG_BEFORE, State.VERIFYING)),
    Kind("logind is gone", gone(logind), (_RETRYING, Code.REBOOT_REFUSED), 2),
    Kind("systemd is not on the bus", gone(systemd)),
    Kind(
        "access denied: ListInhibitors", answering(logind, "ListInhibitors", denied), (_RETRYING, Code.REBOOT_REFUSED)
    ),
    Kind("access denied: GetUnit", answering(systemd, "GetUnit", denied), (_RETRYING, Code.FINALIZE_FAILED)),
    Kind("the bus is restarted", bus_restarted),
)

_DISK = tuple(
    Kind(
        f"{errno.errorcode[number]}: {name}",
        failing_writes(place, number),
        shows,
        times,
        cached=cached,
        settings=settings,
    )
    for name, place, shows, times, cached, settings in (
        ("record", "var/lib/mcd-rt", _WRITE_FAILED, 3, True, ""),
        ("status", "run/mcd-rt/.status.json", None, 1, True, ""),
        ("cache", "var/cache/mcd-rt", _WRITE_FAILED, 2, False, ""),
        ("text file", "var/lib/node_exporter", None, 1, True, _TEXTFILE),
    )
    for number in (errno.ENOSPC, errno.EIO, errno.EROFS)
) + tuple(
    Kind(f"{errno.errorcode[number]}: lock", failing_writes("run/mcd-rt", number), (_STARTING, Code.WRITE_FAILED), 3)
    for number in (errno.ENOSPC, errno.EROFS)
)

_AGENT = (
    *(
        Kind(f"record: {name}", with_record(data), shows, person=person, stays=person is None)
        for name, data, shows, person in (
            ("empty", b"", _UNREADABLE, Verb.RETRY),
            ("truncated", b'{"version": 1, "attempt": nul', _UNREADABLE, Verb.RETRY),
            ("zeros", b"\0" * 512, _UNREADABLE, Verb.RETRY),
            ("not UTF-8", b"\xff\xfe\x80" * 100, _UNREADABLE, Verb.RETRY),
            ("another document", b'{"version": 1, "tries": 3}', _UNREADABLE, Verb.RETRY),
            ("version 0", b'{"version": 0}', _UNREADABLE, Verb.RETRY),
            ("a directory", None, _UNREADABLE, Verb.RETRY),
            ("a link in a circle", "record.json", _UNREADABLE, Verb.RETRY),
            ("of a newer agent", b'{"version": 99}', (_BLOCKED, Code.RECORD_TOO_NEW), None),
        )
    ),
    Kind("config flips at every step", config_flips()),
    Kind("config becomes unreadable", config_becomes(b"spec: [kernelType"), (_BLOCKED, Code.CONFIG_INVALID)),
    Kind("config is removed", config_becomes(None), (State.WAITING, Code.CONFIG_MISSING)),
    Kind("settings are broken while it runs", settings_broken(), (_STARTING, Code.SETTINGS_INVALID), 2),
    Kind("cache is damaged before it is used", cache_damaged(), (_RETRYING, Code.CACHE_CORRUPT)),
    Kind("image is away", image_away(), (_RETRYING, Code.IMAGE_UNREADABLE), 2, cached=False),
    *(
        Kind(f"worker {name}", workers("/bin/sh", "-c", script), (_RETRYING, code), cached=False, settings=_WORKER)
        for name, script, code in (
            ("hangs", "exec tail -f /dev/null", Code.WORKER_TIMEOUT),
            ("floods", "exec yes 2>/dev/null", Code.WORKER_FAILED),
            ("dies", "exit 3", Code.WORKER_FAILED),
            ("lies", "head -c 64 /dev/zero", Code.WORKER_FAILED),
        )
    ),
    Kind("no descriptors left for the bus", no_descriptors(bus), (_RETRYING, Code.BUS_UNAVAILABLE), 3),
    Kind("no descriptors left for a transaction", no_descriptors(transaction), (_RETRYING, _TIMEOUT), 2),
    Kind("another agent runs", lock_held(), (_STARTING, Code.AGENT_RUNNING), 3),
    Kind("/run/mcd-rt is a file", runtime_is_a_file(), (_STARTING, Code.SETTINGS_INVALID), 3),
    Kind("the metrics' port is taken", port_taken()),
)

KINDS = (*_DAEMON, *_TRANSACTIONS, *_REBOOT, *_DISK, *_AGENT)
"""In the order of the docs (``docs/reliability-faults.md``)."""
