"""``mcd-rt check``: whether a config is valid, and what it asks for."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from mcd_rt.desired.machineconfig import Absent, printable, read_machine_config
from mcd_rt.desired.merge import merge_configs
from mcd_rt.desired.sources import is_config_name
from mcd_rt.desired.tree import locate
from mcd_rt.errors import Code, ConfigInvalid, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.desired import Desired

_DESCRIPTION = """\
Validate MachineConfigs as the agent would, without a node: nothing is changed, no service is asked.

Each FILE is a MachineConfig in YAML or JSON. Of a DIR every *.yaml, *.yml and *.json in it is checked, in the
order of their names; hidden files are passed over.

For a valid file it says what the file asks for; for any other where it is wrong, as compilers do
(file:line:column: code: what was found, what was expected), with a hint at the way out. A file that is missing
or empty is an error here; the service waits for it.
"""

_EPILOG = """\
With --json each checked file is one line, an object with the keys
  file, valid, code, message, line, column, desired {name, kernel_type, os_image, kernel_arguments, fips}
where code, message, line and column are null for a valid file, and desired is null for any other. Line and column
count from 1 and are null where there is no place to name.

examples:
  mcd-rt check 99-worker-realtime.yaml          before it is applied
  mcd-rt check /etc/mcd-rt/machineconfig.d      all of a directory
  mcd-rt check --json *.yaml | jq -r 'select(.valid | not) | .file'

exit codes:
  0   all are valid
  1   at least one is not, or a DIR has none in it
  64  the command line was not understood
"""


@frozen
class Fault:
    """What is wrong with a file, without its name; line and column count from 1 where there is a place to name."""

    failure: Failure
    line: int | None = None
    column: int | None = None


@frozen
class Verdict:
    """What was found out about one file, named as on the command line."""

    file: str
    outcome: Desired | Fault


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb with its help."""
    parser = verbs.add_parser(
        "check",
        help="validate a MachineConfig and say what it asks for",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line for each checked file")
    parser.add_argument("names", nargs="+", metavar="FILE|DIR", help="a MachineConfig, or a directory of them")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check what is named by ``arguments.names`` and print the verdicts; returns the exit code."""
    show = _as_json if arguments.json else _as_text
    valid = True
    for name in arguments.names:
        for verdict in check(name):
            print(show(verdict))
            valid = valid and isinstance(verdict.outcome, Desired)
    return 0 if valid else 1


def check(name: str) -> Iterator[Verdict]:
    """The verdict on a file, or on each config in a directory."""
    if not _is_directory(name):
        yield _check_file(name)
        return
    try:
        entries = sorted(entry.name for entry in Path(name).iterdir())
    except OSError as error:
        yield _invalid(name, f"cannot be read: {error.strerror}", "make it a readable directory")
        return
    configs = [entry for entry in entries if is_config_name(entry)]
    if not configs:
        yield _invalid(name, "has no config in it, expected *.yaml, *.yml or *.json", "name a file")
    for config in configs:
        yield _check_file(f"{name.rstrip('/')}/{config}")


def _is_directory(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # the same stands in the way of reading it as a file, which says so
        return False


def _check_file(name: str) -> Verdict:
    path = Path(name)
    source = printable(str(path))
    try:
        config = read_machine_config(path)
        outcome = config if isinstance(config, Absent) else merge_configs(None, [config])
    except ConfigInvalid as error:
        what = error.failure.message.removeprefix(f"{locate(source, error.line, error.column)}: ")
        failure = Failure(error.failure.code, what, error.failure.hint)
        return Verdict(printable(name), Fault(failure, error.line, error.column))
    if isinstance(outcome, Absent):
        what = outcome.reason.removeprefix(f"{source} ")
        return _invalid(name, f"{what}, expected a MachineConfig", "the service would wait for it")
    return Verdict(printable(name), outcome)


def _invalid(name: str, what: str, hint: str) -> Verdict:
    return Verdict(printable(name), Fault(Failure(Code.CONFIG_INVALID, what, hint)))


def _as_text(verdict: Verdict) -> str:
    match verdict.outcome:
        case Desired() as desired:
            wishes = [f"the {desired.kernel_type} kernel"]
            if desired.kernel_arguments:
                wishes.append(f"kernel arguments {' '.join(desired.kernel_arguments)}")
            if desired.os_image:
                wishes.append(f"image {desired.os_image}")
            if desired.fips:
                wishes.append("FIPS")
            return f"{verdict.file}: ok: {desired.name} asks for {', '.join(wishes)}"
        case Fault(failure=failure, line=line, column=column):
            hint = f"\n  hint: {failure.hint}" if failure.hint else ""
            return f"{locate(verdict.file, line, column)}: {failure.code}: {failure.message}{hint}"


def _as_json(verdict: Verdict) -> str:
    report: dict[str, object] = {"file": verdict.file}
    match verdict.outcome:
        case Desired() as desired:
            report |= {"valid": True, "code": None, "message": None, "line": None, "column": None}
            report["desired"] = {
                "name": desired.name,
                "kernel_type": desired.kernel_type,
                "os_image": desired.os_image,
                "kernel_arguments": desired.kernel_arguments,
                "fips": desired.fips,
            }
        case Fault(failure=failure, line=line, column=column):
            report |= {"valid": False, "code": failure.code, "message": failure.message}
            report |= {"line": line, "column": column, "desired": None}
    return json.dumps(report)
