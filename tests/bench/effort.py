"""How much a benchmark does: all of it, or (``--quick``) as little as shows that it works."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """``scale`` is of the sizes of images, configs and growth."""

    quick: bool = False

    @property
    def scale(self) -> float:
        return 0.02 if self.quick else 1.0

    def rounds(self, usual: int) -> int:
        """How often something is measured."""
        return 2 if self.quick else usual

    def seconds(self, usual: float) -> float:
        """How long something is looked at."""
        return 2.0 if self.quick else usual

    def points(self, usual: tuple[int, ...]) -> tuple[int, ...]:
        """Where a curve is measured."""
        return usual[:2] if self.quick else usual


def effort() -> Effort:
    """As the command line says."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--quick", action="store_true")
    return Effort(parser.parse_known_args()[0].quick)
