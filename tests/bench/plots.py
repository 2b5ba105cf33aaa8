"""The plots of docs/performance.md. Only ``tox -e bench`` has matplotlib."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt

from tests.bench.figures import Curve


def draw(curves: Iterable[Curve], directory: Path) -> None:
    """``performance-NAME.png`` for each."""
    for curve in curves:
        figure, panel = plt.subplots(figsize=(6, 3.4), dpi=80, constrained_layout=True)
        for name, points in curve.lines.items():
            xs, ys = zip(*points, strict=True)
            panel.plot(xs, ys, marker="o", markersize=4, label=name)
        panel.set_title(curve.title, fontsize=10)
        panel.set_xlabel(curve.x, fontsize=8)
        panel.set_ylabel(curve.y, fontsize=8)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, loc="best")
        figure.savefig(directory / curve.image, metadata={"Software": None})
        plt.close(figure)
