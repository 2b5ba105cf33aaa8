"""What the values of settings may be, one by one and together."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mcd_rt.frozen import frozen
from mcd_rt.model.kernelargs import is_one_argument
from mcd_rt.model.listen import parse_listen
from mcd_rt.model.lockserver import is_lock_url
from mcd_rt.model.settings import Settings
from mcd_rt.model.window import parse_window

Rule: TypeAlias = tuple[Callable[[Any], bool], str]
"""What holds of a value, and how a message says it."""

_TRUST = ("require", "digest-only")
_WORKERS = ("auto", "socket", "child")
_MANAGE = ("auto", "observe", "manage")
_OS_MANAGE = ("kernel-only", "image")
_FIPS = ("allow", "refuse")
_STRATEGIES = ("auto", "immediate", "window", "fleet-lock", "sentinel", "permission-file", "never")
_DAY = 24 * 3600.0
_URL = "reboot.fleet_lock.url"
_LOCK_URL = 'an address such as "https://locks.example/base", without a query, a user or a password'
_LONGEST = 1e9  # seconds, some thirty years: a delay that every timer can take


def _may_be_zero(value: float) -> bool:
    return 0 <= value <= _LONGEST


_DELAY: Rule = (_may_be_zero, f"at least 0 and at most {_LONGEST:.0f} seconds")
_PLACE: Rule = (
    lambda value: value.startswith("/") and not value.endswith("/") and "\0" not in value,
    "an absolute path of a file",
)


def _is_listen(value: str) -> bool:
    try:
        parse_listen(value)
    except ValueError:
        return False
    return True


TYPES: Mapping[object, Rule] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    float: (lambda value: isinstance(value, int | float) and not isinstance(value, bool), "a number of seconds"),
    str: (lambda value: isinstance(value, str), "text"),
    tuple[str, ...]: (
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "an array of texts",
    ),
}
RANGES_OF_TYPES: Mapping[object, Rule] = {
    int: (lambda value: value >= 1, "at least 1"),
    float: (lambda value: 0 < value <= _LONGEST, f"more than 0 and at most {_LONGEST:.0f} seconds"),
}
RANGES: Mapping[str, Rule] = {
    "node_config.sources": (
        lambda value: len(value) > 0 and all(item.startswith("/") and "\0" not in item for item in value),
        "at least one path, all of them absolute",
    ),
    "agent.manage": (lambda value: value in _MANAGE, f"one of {', '.join(_MANAGE)}"),
    "os.manage": (lambda value: value in _OS_MANAGE, f"one of {', '.join(_OS_MANAGE)}"),
    "policy.fips": (lambda value: value in _FIPS, f"one of {', '.join(_FIPS)}"),
    "tuning.kernel_arguments": (
        lambda value: all(is_one_argument(item) for item in value),
        "one kernel argument in each text, quoted where it has spaces",
    ),
    "tuning.tuned_profile": (
        lambda value: all(word.isprintable() for word in value.split(" ")),
        'the name of a profile, or "" for none',
    ),
    "metrics.listen": (
        _is_listen,
        'an IP address and a port such as "127.0.0.1:8654", "unix:/path", or "" for no server',
    ),
    "metrics.textfile": (
        lambda value: not value or (value.startswith("/") and value.endswith(".prom") and "\0" not in value),
        'an absolute path that ends in .prom, or "" for none',
    ),
    "content.trust": (lambda value: value in _TRUST, f"one of {', '.join(_TRUST)}"),
    "content.worker": (lambda value: value in _WORKERS, f"one of {', '.join(_WORKERS)}"),
    "content.keys": (
        lambda value: all(item.startswith("/") and "\0" not in item for item in value),
        "paths, all of them absolute",
    ),
    "content.authfile": (
        lambda value: all(item.startswith(("/", "${CREDENTIALS_DIRECTORY}/")) and "\0" not in item for item in value),
        "paths, all of them absolute or below ${CREDENTIALS_DIRECTORY}",
    ),
    "control.group": (lambda value: "\0" not in value, 'the name of a group, or "" for root alone'),
    "hooks.run": (lambda value: value in _WORKERS, f"one of {', '.join(_WORKERS)}"),
    "hooks.timeout": (lambda value: 0 < value <= _DAY, f"more than 0 and at most {_DAY:.0f} seconds"),
    "reboot.strategy": (lambda value: value in _STRATEGIES, f"one of {', '.join(_STRATEGIES)}"),
    "content.splay": _DELAY,
    "reboot.splay": _DELAY,
    "reboot.warning": _DELAY,
    "reboot.window.deadline": _DELAY,
    "reboot.sentinel.path": _PLACE,
    "reboot.permission_file.path": _PLACE,
    "reboot.fleet_lock.url": (lambda value: not value or is_lock_url(value), _LOCK_URL),
    "reboot.fleet_lock.group": (
        lambda value: bool(re.fullmatch(r"[a-zA-Z0-9.-]{1,200}", value)),
        "letters, digits, . and -",
    ),
    "reboot.fleet_lock.id": (lambda value: len(value) <= 200 and (not value or value.isprintable()), 'a name, or ""'),
    "reboot.fleet_lock.ca": (
        lambda value: not value or (value.startswith("/") and "\0" not in value),
        'an absolute path of a file, or "" for the certificates of the host',
    ),
}


@frozen
class Contradiction:
    """A setting that cannot be as it is beside the others, why, and the way out."""

    key: str
    what: str
    hint: str = ""


def find_contradiction(settings: Settings) -> Contradiction | None:
    """What a strategy cannot be without, and a window that is none; ``None`` where everything fits together."""
    reboot = settings.reboot
    needs = {"window": ("reboot.window.windows", reboot.window.windows), "fleet-lock": (_URL, reboot.fleet_lock.url)}
    needed, value = needs.get(reboot.strategy, ("", "nothing"))
    if not value:
        what = f"{reboot.strategy!r} needs {needed}, which is not set"
        return Contradiction("reboot.strategy", what, f"set {needed}, or take another strategy")
    for text in reboot.window.windows:
        try:
            parse_window(text)
        except ValueError as error:
            return Contradiction("reboot.window.windows", str(error))
    if reboot.window.time_zone == "UTC":
        return None
    from mcd_rt.calendar import find_zone  # noqa: PLC0415 - an agent without windows needs no calendar

    try:
        find_zone(reboot.window.time_zone)
    except ValueError as error:
        return Contradiction("reboot.window.time_zone", str(error))
    return None
