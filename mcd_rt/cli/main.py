"""``mcd-rt``: the verbs, and how a failure is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mcd_rt import __version__
from mcd_rt.lean import import_asyncio_without_tls, import_when_used, seldom_look_for_garbage

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from mcd_rt.errors import Failure

_VERBS = (
    "run",
    "apply",
    "plan",
    "status",
    "explain",
    "collect",
    "settings",
    "check",
    "check-image",
    "verify",
    "retry",
    "reboot",
    "hold",
    "resume",
    "demo",
    "sim",
    "worker",
    "hooks",
)
"""Each a module of this package; only the one that is asked for is imported: a daemon carries no simulator."""

_EXIT_CODES = """\
exit codes:
  0   done, valid, healthy, nothing to do
  1   failed, invalid, or a person must act (status: or no agent runs)
  2   plan: something to do
  3   status: busy, or waiting for a reboot
  64  the command line was not understood
  130 interrupted

The environment variable MCD_RT_ROOT puts a directory in the place of /, and
DBUS_SYSTEM_BUS_ADDRESS names another system bus; `mcd-rt sim` prints both for a simulated node.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code; arguments default to the command line's."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    import_when_used("inspect")  # dataclasses and asyncio import it, and use it for what nobody here does
    match words:
        case ["run"]:  # the two that stay, or are waited for, load nothing that parses words they have not
            seldom_look_for_garbage()
            import_asyncio_without_tls()
            from mcd_rt.cli.run import serve  # noqa: PLC0415 - only the verb that is asked for is imported

            return _ended(serve)
        case ["worker"]:
            seldom_look_for_garbage()
            from mcd_rt.content.worker import serve_standard_input  # noqa: PLC0415 - the same

            status = _ended(serve_standard_input)
            sys.stderr.flush()
            os._exit(status)  # to take everything apart, which nobody will use again, takes as long as a bare start
        case _:
            return _parsed(words)


def make_parser(verb: str | None = None) -> ArgumentParser:
    """The whole command line, or as much of it as `verb` needs; manual and completion are made from the whole."""
    from argparse import ArgumentParser, RawDescriptionHelpFormatter  # noqa: PLC0415 - see main

    parser = ArgumentParser(
        prog="mcd-rt",
        description="Makes an image-based node run the kernel its MachineConfig asks for, and keeps it so.",
        epilog=_EXIT_CODES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mcd-rt {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name in [verb] if verb in _VERBS else _VERBS:
        module = f"mcd_rt.cli.{name.replace('-', '_')}"
        if find_spec(module) is not None:  # the verbs of the simulator are a package of their own on hosts
            import_module(module).add_parser(verbs)
    return parser


def _parsed(words: list[str]) -> int:
    parser = make_parser(words[0] if words else None)
    try:
        parsed = parser.parse_args(words)
    except SystemExit as stop:
        return 64 if stop.code == 2 else 0
    action: Callable[[Namespace], int] = parsed.run
    return _ended(lambda: action(parsed))


def _ended(action: Callable[[], int]) -> int:
    from mcd_rt.errors import AgentError  # noqa: PLC0415 - values are dataclasses: see main

    try:
        return action()
    except AgentError as error:
        _tell(error.failure)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone: nobody is left to tell
        return 1


def _tell(failure: Failure) -> None:
    print(f"mcd-rt: {failure.code}: {failure.message}", file=sys.stderr)
    if failure.hint:
        print(f"        {failure.hint}", file=sys.stderr)
