"""``mcd-rt run`` that is killed at one of its effects: ``python -m tests.reliability.mortal MARK KIND NTH``.

It kills itself with SIGKILL before the nth effect of a kind, in the first life that gets there: ``MARK`` is a file that
says it happened.
"""

import os
import signal
import sys
from pathlib import Path

import mcd_rt.cli.context
from mcd_rt.cli.main import main
from tests.effects_double import Effect, EffectsDouble


class _Death:
    """Counts the effects of one kind."""

    def __init__(self, mark: Path, kind: str, nth: int) -> None:
        self._mark, self._kind, self._left = mark, kind, nth

    def count(self, effect: Effect) -> None:
        """One more; the last one is not lived to see."""
        if effect.kind != self._kind or self._mark.exists():
            return
        self._left -= 1
        if not self._left:
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _, place, kind, number = sys.argv
    mcd_rt.cli.context.HostEffects = lambda: EffectsDouble(on_attempt=_Death(Path(place), kind, int(number)).count)
    sys.exit(main(["run"]))
