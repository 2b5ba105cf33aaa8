"""``python -m tests.fuzz [--seconds N] [--seed N] [TARGET...]``: a run as long as wanted, guided by coverage.

Without atheris it is a run of mutations without guidance, and says so.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.mutation import CORPUS, corpus_of, mutants
from tests.fuzz.targets import TARGETS
from tests.fuzz.verdict import Limits, Violation, attempt

_FINDINGS = Path(tempfile.gettempdir()) / "mcd-rt-fuzz"
_GRACE = 120.0
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 after a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(TARGETS)}; all unless given")
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="try this one file")
    parser.add_argument("--write-corpus", action="store_true", help="make the seeds again")
    options = parser.parse_args(argv)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    names = options.targets or list(TARGETS)
    try:
        if options.write_corpus:
            from tests.fuzz.seeds import write_corpus  # noqa: PLC0415 - needs the builders, which nothing else does

            print(f"{write_corpus(CORPUS)} seeds")
        elif options.input:
            for name in names:
                attempt(name, TARGETS[name], options.input.read_bytes(), Limits())
        else:
            _run(names, options.seconds, options.seed)
    except Violation as violation:
        print(violation, file=sys.stderr)
        return 1
    return 0


def _run(names: Sequence[str], seconds: int, seed: int) -> None:
    guided = find_spec("atheris") is not None
    if not guided:
        print("atheris is not installed: mutations without guidance")
    total = 0
    for name in names:
        count = _guided(name, seconds, seed) if guided else _unguided(name, seconds, seed)
        print(f"{name}: {count} inputs in {seconds} s", flush=True)
        total += count
    print(f"fuzz {total}, violations 0")


def _unguided(name: str, seconds: int, seed: int) -> int:
    until, count = time.monotonic() + seconds, 0
    for data in mutants(name, corpus_of(name), seed):
        attempt(name, TARGETS[name], data, Limits())
        count += 1
        if time.monotonic() > until:
            break
    return count


def _guided(name: str, seconds: int, seed: int) -> int:
    _FINDINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as found:
        argv = [
            sys.executable, "-m", "tests.fuzz.guided", name, f"-max_total_time={seconds}", f"-seed={seed}",
            "-max_len=65536", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
            f"-artifact_prefix={_FINDINGS}/{name}-", found, f"{CORPUS / name}",
        ]  # fmt: skip
        ended = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=seconds + _GRACE, check=False
        )
    executed = _EXECUTED.search(ended.stderr)
    if ended.returncode or executed is None:
        raise Violation(f"{name}: atheris ended with {ended.returncode}; its last words:\n{ended.stderr[-6000:]}")
    return int(executed[1])


if __name__ == "__main__":
    sys.exit(main())
