"""``python -m tests.reliability [--quick] [--seed N] [--soak STORIES]``: the figures of issue "Whole or not at all"."""

import argparse
import sys
import time
from collections.abc import Callable

from tests.fuzz import run as run_fuzz
from tests.fuzz.verdict import Violation
from tests.reliability import breakages, faults, kills, soak, sweep
from tests.reliability.place import use_memory
from tests.reliability.tally import Tally, last_line, table

Part = Callable[[bool, int], Tally]
"""Takes whether to take a sample only, and the seed that chooses it."""


def fuzz(quick: bool, seed: int) -> Tally:
    """Everything that reads foreign bytes; the first violation ends it."""
    try:
        return Tally("fuzz", run_fuzz(quick, seed))
    except Violation as violation:
        return Tally("fuzz", 0, (str(violation),))


PARTS: tuple[Part, ...] = (sweep.run, kills.run, faults.run_faults, fuzz, breakages.run)
"""What is run, in this order; tallies of one kind are added up."""


def main() -> int:
    """Run the parts, print the table and the figures; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description="Every effect is a cut point.")
    parser.add_argument("--quick", action="store_true", help="a sample, spread over scenarios and ways")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample, and the stories of the soak")
    parser.add_argument("--soak", type=int, default=0, metavar="STORIES", help="random stories of several cuts instead")
    arguments = parser.parse_args()
    use_memory()
    print(f"seed {arguments.seed}", flush=True)
    if arguments.soak:
        tallies: tuple[Tally, ...] = (soak.run(arguments.soak, arguments.seed),)
    else:
        tallies = tuple(_timed(part, arguments.quick, arguments.seed) for part in PARTS)
    print(table(tallies))
    violations = [what for tally in tallies for what in tally.violations]
    for what in violations:
        print(f"VIOLATION {what}")
    print(last_line(tallies))
    return 1 if violations else 0


def _timed(part: Part, quick: bool, seed: int) -> Tally:
    began = time.monotonic()
    tally = part(quick, seed)
    name = part.__module__.rpartition(".")[2]
    print(f"{name}: {tally.tried} {tally.kind} in {time.monotonic() - began:.0f} s", flush=True)
    return tally


if __name__ == "__main__":
    sys.exit(main())
