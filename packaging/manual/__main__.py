"""Everything that is made from the program and the pages: `python packaging/manual`; `--check` says what has drifted.

The reference of codes and of the command line, the defaults in the tables, the journal's catalogue, the manual pages,
and completion for three shells.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from commandline import read_command_line
from completion import complete
from pages import command_page, service_page, settings_page
from reference import command_reference, with_defaults

from mcd_rt.report import metrics_table
from mcd_rt.report.catalog import catalog
from mcd_rt.report.codes_page import codes_page

_TOP = Path(__file__).parents[2]
_DOCS = _TOP / "docs"

_MADE: Mapping[str, Callable[[], str]] = {
    "docs/codes.md": codes_page,
    "docs/commands.md": lambda: command_reference(read_command_line()),
    "docs/metrics.md": lambda: metrics_table.with_table((_DOCS / "metrics.md").read_text()),
    "docs/settings.md": lambda: with_defaults((_DOCS / "settings.md").read_text()),
    "packaging/catalog/mcd-rt.catalog": catalog,
    "packaging/man/mcd-rt.1": lambda: command_page(read_command_line(), _DOCS),
    "packaging/man/mcd-rt.service.8": lambda: service_page(_DOCS),
    "packaging/man/mcd-rt.toml.5": lambda: settings_page(_DOCS),
    "packaging/completions/mcd-rt.bash": lambda: complete("bash"),
    "packaging/completions/_mcd-rt": lambda: complete("zsh"),
    "packaging/completions/mcd-rt.fish": lambda: complete("fish"),
}
"""Each file and how it is made: to add one, add a line."""


def main() -> int:
    """Write what has changed; with `--check` write nothing, and fail if there is something."""
    parser = argparse.ArgumentParser(prog="python packaging/manual", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 and the differences, if any")
    check, drifted = parser.parse_args().check, False
    for name, make in _MADE.items():
        file, made = _TOP / name, make()
        present = file.read_text() if file.exists() else ""
        if made == present:
            continue
        drifted = True
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(*(each.splitlines(keepends=True) for each in (present, made)), name, "as made")
            )
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(made)
            print(f"{name}: written")
    if check and drifted:
        print("run `python packaging/manual` and look at what it changes", file=sys.stderr)
    return 1 if check and drifted else 0


if __name__ == "__main__":
    sys.exit(main())
