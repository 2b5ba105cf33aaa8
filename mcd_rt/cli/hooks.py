"""``mcd-rt hooks``: the process that runs an administrator's hooks. Started by the agent, not by people."""

import argparse

from mcd_rt.cli.place import host_paths
from mcd_rt.hooks.serve import serve_standard_input


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "hooks",
        help="(started by the agent) run the hooks of one occasion",
        description="Serves one call on the stream socket that is its standard input: runs the programs in pre-reboot.d"
        " or post-verify.d (docs/hooks.md), which must be files of root's that nobody else may write.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve one call."""
    del arguments
    return serve_standard_input(host_paths())
