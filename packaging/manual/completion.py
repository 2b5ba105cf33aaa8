"""Completion for shells, made from the parsers."""

import shtab
from commandline import find_verbs

from mcd_rt.cli.main import make_parser


def complete(shell: str) -> str:
    """What `bash`, `zsh` or `fish` reads to complete `mcd-rt`; a verb is shown with its line in the list of verbs."""
    parser = make_parser()
    for found in find_verbs(parser):
        found.parser.description = found.summary
    made = shtab.complete(parser, shell)
    return "\n".join(line.rstrip() for line in made.rstrip().splitlines()) + "\n"
