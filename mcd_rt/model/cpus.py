"""Which CPUs a kernel command line sets apart, and which are left for keeping house.

Source: kernel.org, "The kernel's command-line parameters": "cpu lists", ``isolcpus``, ``nohz_full``, ``rcu_nocbs``.
"""

import re
from collections.abc import Iterable, Sequence

_ISOLATING = ("isolcpus", "nohz_full", "rcu_nocbs")
_FLAGS = ("nohz", "domain", "managed_irq")
_RANGE = re.compile(r"(?P<first>\d{1,6}|N)(?:-(?P<last>\d{1,6}|N)(?::(?P<used>\d{1,6})/(?P<group>\d{1,6}))?)?")


def housekeeping_cpus(arguments: Iterable[str], allowed: frozenset[int], count: int) -> frozenset[int]:
    """Those of the ``allowed`` CPUs that no argument sets apart; all of them where nothing else would be left.

    ``count`` is how many CPUs the machine has, which is what ``N`` and ``all`` in a list mean.
    """
    isolated: frozenset[int] = frozenset()
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if equals and name in _ISOLATING:
            isolated |= _cpus(text.strip('"').split(","), count)
    return allowed - isolated or allowed


def _cpus(parts: Sequence[str], count: int) -> frozenset[int]:
    """A list of CPUs; nothing for one with a mistake in it, which the kernel ignores as a whole, too."""
    found: set[int] = set()
    for part in parts:
        if part == "all":
            found.update(range(count))
        elif (span := _RANGE.fullmatch(part)) is not None:
            first = _number(span["first"], count)
            last = first if span["last"] is None else _number(span["last"], count)
            used, group = int(span["used"] or 1), int(span["group"] or 1)
            if last < first or not 0 < used <= group:
                return frozenset()
            found.update(cpu for cpu in range(first, min(last + 1, count)) if (cpu - first) % group < used)
        elif part not in _FLAGS:
            return frozenset()
    return frozenset(found)


def _number(text: str, count: int) -> int:
    return count - 1 if text == "N" else int(text)
