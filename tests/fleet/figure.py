"""The figure of docs/fleet.md. Only ``tox -e fleet`` has matplotlib."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from tests.fleet.fleet import HOUR, Fleet
from tests.fleet.surroundings import MINUTE

_MEGA = 1e6


def draw(fleets: Mapping[str, Fleet], path: Path) -> None:
    """Four panels: the switch, who is out of service, a bad image, the registry; the same bytes for the same fleets."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 6.4), dpi=80, constrained_layout=True)
    switched, out, bad, registry = panels.flat
    for name, colour in (("no lock, no splay", "C3"), ("no lock, splay of 2 h", "C1"), ("lock", "C0")):
        _steps(switched, fleets[name].steady, name, colour)
        _steps(out, fleets[name].out, f"{name}: at most {fleets[name].most_out}", colour)
    _finish(switched, "nodes that run the new kernel", 7)
    _finish(out, "nodes out of service", 7)
    _steps(bad, fleets["bad image, taken back after 3 h"].out, "out of service", "C3")
    slots, back_at = (
        fleets["bad image, taken back after 3 h"].options.slots,
        fleets["bad image, taken back after 3 h"].options.back_at,
    )
    bad.axhline(slots, color="grey", linestyle=":", label=f"slots of the lock: {slots}")
    if back_at is not None:
        bad.axvline(back_at / HOUR, color="C2", linestyle="--", label="the config is taken back")
    bad.set_ylim(0, slots * 2)
    _finish(bad, "a bad image: nodes out of service", 5)
    for name, colour in (("no lock, no splay", "C3"), ("lock", "C0")):
        _rate(registry, fleets[name].registry.sent, fleets[name].options.fetch_splay, colour)
    registry.set_yscale("log")
    _finish(registry, "asked of the registry, MB/s", 2)
    figure.savefig(path, metadata={"Software": None})


def _steps(panel: Axes, points: list[tuple[float, int]], label: str, colour: str) -> None:
    panel.step([at / HOUR for at, _ in points], [count for _, count in points], colour, where="post", label=label)


def _rate(panel: Axes, sent: Counter[int], splay: float, colour: str) -> None:
    minutes = range(max(sent) + 2)
    label = f"content.splay = {splay:g}" if splay else "no content.splay"
    rates = [sent[minute] / MINUTE / _MEGA for minute in minutes]
    panel.step([minute * MINUTE / HOUR for minute in minutes], rates, colour, where="post", label=label)


def _finish(panel: Axes, title: str, hours: float) -> None:
    panel.set_title(title, fontsize=10)
    panel.set_xlabel("hours since the config was changed", fontsize=8)
    panel.set_xlim(0, hours)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="best")
