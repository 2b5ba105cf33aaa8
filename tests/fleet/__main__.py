"""``python -m tests.fleet [--figure FILE] [--page FILE]``: a thousand nodes, what has to hold, a table, a figure."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tests.fleet.claims import (
    a_bad_image_took_no_more_than_the_slots,
    all_but_the_dead_are_back,
    everybody_has_switched,
    slots_are_kept,
)
from tests.fleet.fleet import HOUR, Fleet, Options, run_fleet
from tests.fleet.node import Luck

USUAL = Luck(fetch_fails=0.05, not_finalized=0.03)
BAD = Luck(bad_image=True)
LOCK = Options(luck=USUAL, fetch_splay=HOUR)
STORIES: Mapping[str, tuple[Options, tuple[Callable[[Fleet], None], ...]]] = {
    "no lock, no splay": (replace(LOCK, strategy="immediate", fetch_splay=0.0), (everybody_has_switched,)),
    "no lock, splay of 2 h": (replace(LOCK, strategy="immediate", reboot_splay=2 * HOUR), (everybody_has_switched,)),
    "lock": (LOCK, (slots_are_kept, everybody_has_switched)),
    "lock server silent for 1 h": (
        replace(LOCK, silent=(2 * HOUR, 3 * HOUR)),
        (slots_are_kept, everybody_has_switched),
    ),
    "bad image": (
        replace(LOCK, luck=BAD, lasts=4 * HOUR),
        (slots_are_kept, a_bad_image_took_no_more_than_the_slots),
    ),
    "bad image, taken back after 3 h": (
        replace(LOCK, luck=BAD, back_at=3 * HOUR, lasts=5 * HOUR),
        (slots_are_kept, all_but_the_dead_are_back),
    ),
}
COLUMNS = ("", "out at once", "took part", "done after", "registry", "lock server")


def main() -> None:
    """Tell every story, check it, print its row; draw where asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet")
    parser.add_argument("--figure", type=Path, help="where the figure goes, for which matplotlib is needed")
    parser.add_argument("--page", type=Path, help="a page that must have this very table")
    arguments = parser.parse_args()
    fleets, table = {}, ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for name, (options, claims) in STORIES.items():
        fleets[name] = fleet = run_fleet(options)
        for claim in claims:
            claim(fleet)
        table.append("| " + " | ".join((name, *_row(fleet))) + " |")
        print(table[-1], flush=True)
    if arguments.figure is not None:
        from tests.fleet.figure import draw  # noqa: PLC0415 - matplotlib is not everywhere

        draw(fleets, arguments.figure)
    if arguments.page is not None and "\n".join(table).replace("|  |", "| |") not in arguments.page.read_text():
        parser.exit(1, f"{arguments.page} has another table: put this one in\n")


def _row(fleet: Fleet) -> tuple[str, ...]:
    rebooted = sum(node.reboots > 0 for node in fleet.nodes)
    dead = sum(node.dead for node in fleet.nodes)
    done = f"{fleet.finished_at / HOUR:.1f} h" if any(node.steady for node in fleet.nodes) else "never"
    rate = max(fleet.registry.sent.values()) / 60 / 1e6
    registry = f"{rate:.0f} MB/s, {max(fleet.registry.requests.values()) / 60:.1f} requests/s"
    asked = f"{max(fleet.locks.asked.values()) / 60:.1f} requests/s" if fleet.locks.asked else "–"
    took = f"{rebooted} nodes" + (f", of which {dead} died" if dead else "")
    return str(fleet.most_out), took, done, registry, asked


if __name__ == "__main__":
    main()
