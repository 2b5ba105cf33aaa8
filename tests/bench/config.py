"""Reading configs of some size, beside ``json.load`` of the same files, in turns."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.desired.machineconfig import read_machine_config
from mcd_rt.lean import seldom_look_for_garbage
from mcd_rt.memory import memory_returner
from tests.bench.effort import Effort, effort
from tests.bench.figures import MEGABYTE, Curve, Figure, Goal, tell

SIZES = (1, 5, 20)
ROUNDS = 9


def of_size(size: int) -> bytes:
    """A config with files in it of about so many bytes together."""
    one = "x" * 500
    files = [{"path": f"/etc/{number}", "contents": {"source": one}} for number in range(size // 560)]
    spec = {"kernelType": "realtime", "config": {"ignition": {"version": "3.4.0"}, "storage": {"files": files}}}
    kind = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig"}
    return json.dumps({**kind, "metadata": {"name": "rendered-worker-1"}, "spec": spec}).encode()


def timed(reading: Callable[[Path], object], file: Path) -> float:
    """Milliseconds of CPU."""
    begun = time.process_time()
    reading(file)
    return (time.process_time() - begun) * 1000


def load(file: Path) -> object:
    with file.open() as opened:
        return json.load(opened)


def measure(how: Effort) -> tuple[list[Figure], Curve]:
    figures = []
    seldom_look_for_garbage()  # as in an agent, for both of them
    memory_returner()
    curve = Curve("config", "Reading a config", "MB", "ms", {"mcd-rt": [], "json.load": []})
    with TemporaryDirectory(prefix="mcd-rt-bench-") as place:
        for size in how.points(SIZES):
            file = Path(place) / "currentconfig.json"
            file.write_bytes(of_size(size * MEGABYTE))
            turns = [(timed(read_machine_config, file), timed(load, file)) for _ in range(how.rounds(ROUNDS) + 1)][1:]
            ours, theirs = zip(*turns, strict=True)
            figures.append(Figure(f"a config of {size} MB", "ms", ours, "json.load", theirs, Goal(1.5, relative=True)))
            for line, found in zip(curve.lines.values(), (ours, theirs), strict=True):
                line.append((size, sorted(found)[len(found) // 2]))
    return figures, curve


if __name__ == "__main__":
    found, growth = measure(effort())
    tell(found, [growth])
