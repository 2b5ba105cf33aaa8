"""The three manual pages, each made from what says it best already."""

from pathlib import Path

import markdown
import roff
from commandline import CommandLine, Verb

from mcd_rt import __version__

_DATE = "2026-11-24"
"""Of the text, not of the build: a page is the same whoever makes it."""

_VERSION = f"mcd-rt {__version__}"


def command_page(line: CommandLine, docs: Path) -> str:
    """mcd-rt(1): the verbs, from the parsers."""
    exits, _, environment = line.epilog.partition("\n\n")
    return "".join(
        (
            roff.title("mcd-rt", 1, _VERSION, "User Commands", _DATE),
            roff.section("name", roff.text("mcd-rt - the kernel a node's MachineConfig asks for, and no other")),
            roff.section(
                "synopsis", "\\fBmcd\\-rt\\fR \\fIVERB\\fR [\\fIOPTION\\fR ...]\n.br\n\\fBmcd\\-rt\\fR \\-\\-version\n"
            ),
            roff.section("description", roff.text(line.description), *map(roff.paragraph, _opening(docs))),
            roff.section("verbs", *map(_verb, line.verbs)),
            roff.section("exit status", *_exit_codes(exits)),
            roff.section("environment", roff.text(environment)),
            roff.section("files", *_table(docs / "files.md", "## On a host")),
            roff.section("see also", _see(("mcd-rt.toml", 5), ("mcd-rt.service", 8), ("rpm-ostree", 1))),
        )
    )


def service_page(docs: Path) -> str:
    """mcd-rt.service(8): what the service does, its states, its signals."""
    return "".join(
        (
            roff.title("mcd-rt.service", 8, _VERSION, "System Administration", _DATE),
            roff.section("name", roff.text("mcd-rt.service - keeps this node on the kernel its config asks for")),
            roff.section("synopsis", ".nf\n", *(f"{roff.inline(row.name)}\n" for row in _units(docs)), ".fi\n"),
            roff.section("description", roff.text(_opening(docs)[0]), *map(roff.paragraph, _opening(docs)[1:])),
            roff.section("units", *_table(docs / "files.md", "## Units")),
            roff.section("signals", *_table(docs / "files.md", "## Signals")),
            roff.section("states", roff.text(" ".join(_states(docs))), *_table(docs / "states.md", "# States")),
            roff.section("files", *_table(docs / "files.md", "## On a host")),
            roff.section("see also", _see(("mcd-rt", 1), ("mcd-rt.toml", 5), ("systemd.service", 5))),
        )
    )


def settings_page(docs: Path) -> str:
    """mcd-rt.toml(5): every setting, from its page."""
    page = docs / "settings.md"
    first, *others = markdown.paragraphs_of(page, "# Settings")
    entries = [
        roff.tagged(row.name, f"{meaning[:1].upper()}{meaning[1:]}. Default: {default}.")
        for row in markdown.rows_below(page, "# Settings")
        for default, meaning in [row.cells]
    ]
    example = "[reboot]\nper_day = 2\n\n[node_config]\nsettle = 5.0\n"
    return "".join(
        (
            roff.title("mcd-rt.toml", 5, _VERSION, "File Formats", _DATE),
            roff.section("name", roff.text("mcd-rt.toml - settings of mcd-rt")),
            roff.section("synopsis", ".nf\n", *(f"{place}\n" for place in _DROP_INS), ".fi\n"),
            roff.section("description", roff.text(first), *map(roff.paragraph, others)),
            roff.section("settings", roff.text("A name SECTION.KEY is KEY in the table [SECTION]."), *entries),
            roff.section("examples", roff.text("A file in /etc/mcd-rt/config.d:"), roff.verbatim(example)),
            roff.section("see also", _see(("mcd-rt", 1), ("mcd-rt.service", 8))),
        )
    )


_DROP_INS = tuple(f"{top}/mcd\\-rt/config.d/*.toml" for top in ("/usr/lib", "/run", "/etc"))


def _verb(verb: Verb) -> str:
    synopsis = "".join(f" {roff.inline(option.in_synopsis)}" for option in verb.options)
    lines = verb.description.split("\n\n")
    return "".join(
        (
            f'.SS "mcd\\-rt {roff.inline(verb.name)}{synopsis}"\n',
            roff.text(lines[0]),
            *map(roff.paragraph, lines[1:]),
            *(roff.tagged(option.spelling, option.meaning) for option in verb.options),
            roff.verbatim(verb.epilog) if verb.epilog else "",
        )
    )


def _exit_codes(said: str) -> list[str]:
    lines = [line.split(maxsplit=1) for line in said.splitlines()[1:]]
    return [roff.tagged(code, meaning) for code, meaning in lines]


def _table(page: Path, heading: str) -> list[str]:
    return [
        roff.tagged(row.name, ". ".join(_sentence(cell) for cell in row.cells if cell))
        for row in markdown.rows_below(page, heading)
    ]


def _sentence(cell: str) -> str:
    return f"{cell[:1].upper()}{cell[1:]}"


def _units(docs: Path) -> list[markdown.Row]:
    return markdown.rows_below(docs / "files.md", "## Units")


def _states(docs: Path) -> list[str]:
    return markdown.paragraphs_of(docs / "states.md", "# States")


def _opening(docs: Path) -> list[str]:
    return markdown.paragraphs_of(docs / "why.md", "# Why")


def _see(*pages: tuple[str, int]) -> str:
    *most, last = (f".BR {roff.inline(name)} ({section})" for name, section in pages)
    return "".join(f"{each},\n" for each in most) + f"{last}\n"
