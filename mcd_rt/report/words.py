"""A status in words: one screen, the most important first. Pure: ``now`` is handed in."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from mcd_rt.errors import Failure
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.content import Judge
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Switch
from mcd_rt.model.state import State
from mcd_rt.plan.revert import NOT_UNDONE, went_back
from mcd_rt.report.status import Status, as_of

_LABEL = 12
_BAR = 20
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LOOKS_AGAIN = "it looks again when config or deployments change, or settings are read again"
_NEXT: Mapping[State, str] = {
    State.STARTING: "a look at the node",
    State.WAITING: _LOOKS_AGAIN,
    State.UNSUPPORTED: "nothing: this host is left alone",
    State.OBSERVING: _LOOKS_AGAIN,
    State.STEADY: _LOOKS_AGAIN,
    State.IGNORED: _LOOKS_AGAIN,
    State.FETCHING: "stage the change, then reboot",
    State.STAGING: "look whether it is what was planned, then reboot",
    State.STAGED: "a reboot into what is staged",
    State.REBOOTING: "the reboot, then a look whether the right kernel runs",
    State.VERIFYING: "a look at the node",
    State.BLOCKED: f"nothing by itself; {_LOOKS_AGAIN}, or at `mcd-rt retry`",
    State.RETRYING: "it tries again",
    State.HELD: f"nothing by itself; {_LOOKS_AGAIN}, or at `mcd-rt retry`",
}
"""What comes next where no time is set for it."""

_OPENS: Mapping[Gate, str] = {
    Gate.HOLD: "after `mcd-rt resume`",
    Gate.CHOICE: "once a reboot.strategy is chosen, or at `mcd-rt reboot`",
    Gate.PERSON: "at `mcd-rt reboot`",
    Gate.WINDOW: "once the reboot window {name} opens",
    Gate.DEADLINE: "after reboot.window.deadline",
    Gate.SPLAY: "after this node's share of reboot.splay",
    Gate.LOCK: "once {name} gives this node a slot",
    Gate.PERMISSION: "once {name} permits it, or at `mcd-rt reboot`",
    Gate.OTHERS: "by those whom {name} asks for it, or at `mcd-rt reboot`",
    Gate.SERVICE: "by `mcd-rt run`, the service, or `mcd-rt apply`",
    Gate.INHIBITOR: "once {name} lets it come",
    Gate.HOOK: "after the hook {name}",
    Gate.WARNING: "after the warning to users",
}
"""When a staged change is booted, by what it waits for."""

_UNTIL: Mapping[Gate, str] = {
    Gate.HOLD: "the hold ends",
    Gate.WINDOW: "the reboot window {name} opens",
    Gate.DEADLINE: "reboot.window.deadline is over",
    Gate.SPLAY: "this node's share of reboot.splay is over",
    Gate.LOCK: "{name} is asked for a slot again",
    Gate.INHIBITOR: "{name} is not waited for any longer",
    Gate.HOOK: "the hook {name} has no more time",
    Gate.WARNING: "users have been warned, and the reboot comes",
}
"""What is then, where a time is set for it."""


def describe_status(status: Status, now: float, *, running: bool) -> list[str]:
    """The status as lines for people; ``running``: whether its agent runs."""
    status = as_of(status, now)
    last = "" if running else "  (no agent runs now: this is what it said last)"
    since = f"{moment(status.since)} ({age(now - status.since)})"
    return [f"{status.state} since {since}{last}", f"  {status.summary}", *_facts(status), *_troubles(status, now)]


def next_step(status: Status, now: float) -> str:
    """What comes next by itself, and when; or what it takes."""
    awaiting, at = status.awaiting, status.next_attempt
    if at is not None:
        what = "the brake lets go" if status.state is State.HELD else "it looks again"
        why = _named(_UNTIL, awaiting)
        return f"{what} at {moment(at)} ({f'in {age(at - now)}' if at > now else 'now'}){why and f': {why}'}"
    opens = _named(_OPENS, awaiting)
    return f"a reboot {opens}; no end was given" if opens else _NEXT[status.state]


def _named(words: Mapping[Gate, str], awaiting: Awaiting | None) -> str:
    """What is said of a gate, with its name in it; empty where nothing is."""
    if awaiting is None or awaiting.gate not in words:
        return ""
    return _on_one_line(words[awaiting.gate].replace("{name}", awaiting.name))


def bar(percent: int) -> str:
    """How far a step is, drawn; empty where that is not known (-1)."""
    return f"[{'#' * (_BAR * percent // 100):<{_BAR}}] {percent:3} %" if percent >= 0 else ""


def moment(seconds: float) -> str:
    """A time of the clock of whoever reads it."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def age(seconds: float) -> str:
    """A length of time as people say it, in its two largest units."""
    parts: list[str] = []
    rest = max(0, round(seconds))
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        parts += [f"{count} {unit}"] if count or parts else []
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


def _facts(status: Status) -> Iterator[str]:
    place = f" ({status.config_source})" if status.config_source else ""
    yield _line("wanted", f"{status.wanted} by {status.config}{place}" if status.wanted else "not known")
    yield _line("running", f"{status.running} ({status.kernel_release})" if status.running else "not known")
    yield _line("booted", status.booted or "not known")
    yield _line("staged", _staged(status))
    if _goes_back(status):
        yield _line("not undone", NOT_UNDONE)
    if status.held:
        end = "until `mcd-rt resume`" if status.held_until is None else f"until {moment(status.held_until)}"
        yield _line("hold", f"no reboot {end}")
    if status.lock:
        yield _line("lock", f"a slot of {status.lock} is ours")
    if status.progress:
        yield _line("doing", " ".join(filter(None, (_on_one_line(status.progress), bar(status.percent)))))
    if status.trusted_by == Judge.NOBODY:
        yield _line("trust", "NOBODY JUDGED THE SIGNATURES OF THE PACKAGES (content.trust is digest-only)")
    elif status.trusted_by:
        yield _line("trust", f"signatures judged by {status.trusted_by}, image read by way of {status.read_by}")


def _goes_back(status: Status) -> bool:
    """Whether the default kernel is about to run after another one, or does since the last switch."""
    default = KernelType.DEFAULT
    if status.state in (State.STAGING, State.STAGED, State.REBOOTING):
        return status.wanted == default and status.running not in ("", default)
    return status.state is State.STEADY and status.running == default and went_back(status.switches)


def _troubles(status: Status, now: float) -> Iterator[str]:
    if status.failure is not None:
        since = "" if status.failure_since is None else f"  (for {age(now - status.failure_since)})"
        yield from _failure("why", status.failure, since)
    elif status.awaiting is not None and status.awaiting.reason is not None:
        yield from _failure("why", status.awaiting.reason)
    if status.last_failure is not None and status.last_failure != status.failure:
        yield from _failure("last boot", status.last_failure)
    for failure in status.also:
        yield from _failure("also", failure)
    yield _line("next", next_step(status, now))
    past = status.last_error
    if past is not None and past.failure not in (status.failure, status.last_failure):
        yield _line(
            "last error", f"{past.failure.code}, {age(now - past.at)} ago: {_on_one_line(past.failure.message)}"
        )
    for at, switch in enumerate(reversed(status.switches)):
        yield _line("" if at else "switches", _switch(switch))


def _staged(status: Status) -> str:
    if not status.staged:
        return "nothing"
    lock = "locked until a reboot of ours" if status.staged_locked else "any reboot applies it"
    return f"{status.staged_as} ({status.staged}), {lock}"


def _failure(label: str, failure: Failure, since: str = "") -> Iterator[str]:
    yield _line(label, f"{failure.code}: {_on_one_line(failure.message)}{since}")
    if failure.hint:
        yield _line("to do", failure.hint)
    yield _line("", f"`mcd-rt explain {failure.code}` says more")


def _switch(switch: Switch) -> str:
    came = "verified" if switch.code is None else f"FAILED: {switch.code}"
    kernel = f"{switch.kernel_type} ({switch.kernel_release})" if switch.code is None else switch.kernel_type.value
    return f"{moment(switch.ended)}  {kernel}  {came}, took {age(switch.ended - switch.started)}"


def _line(label: str, text: str) -> str:
    return f"  {f'{label}:' if label else '':<{_LABEL}}{text}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
