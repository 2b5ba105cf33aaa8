"""``mcd-rt settings``: what is in effect, and which file says so."""

import argparse
import json

from mcd_rt.cli.context import host_paths
from mcd_rt.settings import TracedSettings, trace_settings

_COLUMN = 44
"""Where the sources stand, but for what is longer."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "settings",
        help="the agent's own settings, and where each comes from",
        description="Prints the settings as the files are now, as TOML: each with the file that says so, or that it is "
        "the default. A running agent has them after `systemctl reload mcd-rt`. Exit code 1: a file is wrong.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the settings."""
    traced = trace_settings(host_paths())
    if arguments.json:
        known = {
            name: {"value": value, "source": str(traced.sources.get(name, "default"))}
            for name, value in traced.values().items()
        }
        print(json.dumps(known))
    else:
        print("\n".join(describe_settings(traced)))
    return 0


def describe_settings(traced: TracedSettings) -> list[str]:
    """The settings as lines that are TOML."""
    lines = {name: f"{name} = {_toml(value)}" for name, value in traced.values().items()}
    return [f"{line:<{_COLUMN}}  # {traced.sources.get(name, 'default')}" for name, line in lines.items()]


def _toml(value: object) -> str:
    """A bool, number, text or array of texts: TOML writes them as JSON does, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
