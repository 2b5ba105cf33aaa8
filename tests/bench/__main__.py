"""``python -m tests.bench``: every benchmark, one after the other, each in a process of its own, and one table.

``--quick``: as little as shows that they work. ``--only NAME...``: some of them. ``--write DIRECTORY``: plots, the kept
figures (``performance.json``) and the generated part of ``performance.md`` in it. As root, on Debian, after
``tests/system/install-packages podman``.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figures import Curve, Figure, read, show
from tests.bench.page import Run, dumped, this_machine, written

BENCHES = ("fetch", "image", "upgrade", "unrelated", "idle", "start", "wake", "config", "growth", "fetchgrowth")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=BENCHES)
    parser.add_argument("--write", type=Path, metavar="DIRECTORY")
    arguments = parser.parse_args(words)
    options = ["--quick"] if arguments.quick else []
    figures, curves = _all(arguments.only, options)
    print(show(figures, curves))
    if arguments.write is not None:
        _write(arguments.write, Run(this_machine(), figures, curves))


def _all(names: Iterable[str], options: Sequence[str]) -> tuple[list[Figure], list[Curve]]:
    figures: list[Figure] = []
    curves: list[Curve] = []
    with TemporaryDirectory(prefix="mcd-rt-bench-") as place:
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            found = Path(place) / name
            command = [sys.executable, "-m", f"tests.bench.{name}", "--figures", str(found), *options]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            more, grown = read(found)
            figures += more
            curves += grown
    return figures, curves


def _write(directory: Path, run: Run) -> None:
    from tests.bench.plots import draw  # noqa: PLC0415 - matplotlib is not everywhere

    draw(run.curves, directory)
    page = directory / "performance.md"
    text = written(page.read_text(), run)
    (directory / "performance.json").write_text(dumped(run))
    page.write_text(text)


if __name__ == "__main__":
    main()
