"""``mcd-rt worker``: the process that parses what is not ours. Started by the agent, not by people."""

import argparse

from mcd_rt.content.worker import serve_standard_input


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "worker",
        help="(started by the agent) serve one request on standard input",
        description="Serves one request on the stream socket that is its standard input. The agent parses nothing"
        " foreign itself: this does, on a host in a sandbox of its own. Started as a plain child it "
        "is no sandbox.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve one request."""
    del arguments
    return serve_standard_input()
