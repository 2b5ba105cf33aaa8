"""What the command line understands, as values: read from the parsers themselves."""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from mcd_rt.cli.main import make_parser


class Option(NamedTuple):
    """An option or an argument: how it is written, and what it does."""

    spelling: str
    meaning: str
    in_synopsis: str


class Verb(NamedTuple):
    """A verb with its help, as the parser has it; `summary` is its line in the list of verbs."""

    name: str
    summary: str
    description: str
    options: tuple[Option, ...]
    epilog: str

    @property
    def synopsis(self) -> str:
        """How it is called."""
        return " ".join(("mcd-rt", self.name, *(option.in_synopsis for option in self.options)))


class CommandLine(NamedTuple):
    """All of it."""

    description: str
    verbs: tuple[Verb, ...]
    epilog: str


class Found(NamedTuple):
    """A verb's parser, and its line in the list of verbs."""

    name: str
    summary: str
    parser: argparse.ArgumentParser


def read_command_line() -> CommandLine:
    """Everything that `mcd-rt` understands, in the order of its help."""
    parser = make_parser()
    return CommandLine(parser.description or "", tuple(map(_verb, find_verbs(parser))), parser.epilog or "")


def find_verbs(parser: argparse.ArgumentParser) -> Iterator[Found]:
    """The verbs of a whole command line."""
    [verbs] = [each for each in _actions(parser) if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no other way to ask
    summaries = {each.dest: each.help or "" for each in verbs._choices_actions}  # noqa: SLF001 - the same
    return (Found(name, summaries[name], verb) for name, verb in verbs.choices.items())


def _verb(found: Found) -> Verb:
    options = tuple(_option(each) for each in _actions(found.parser) if each.dest != "help")
    return Verb(found.name, found.summary, found.parser.description or "", options, found.parser.epilog or "")


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse has no other way to ask


def _option(action: argparse.Action) -> Option:
    value = _value(action)
    if not action.option_strings:
        spelling = f"{value} ..." if action.nargs == "+" else value
        return Option(spelling, action.help or "", spelling)
    spelling = " ".join(filter(None, (", ".join(action.option_strings), value)))
    return Option(spelling, _meaning(action), f"[{action.option_strings[-1]}{value and f' {value}'}]")


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _meaning(action: argparse.Action) -> str:
    said = action.help or ""
    stable = action.choices is not None and action.default is not None and "default:" not in said
    return f"{said} (default: {action.default})" if stable else said
