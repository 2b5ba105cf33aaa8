"""Makes what is in packaging/monitoring of its sources: the rules for the Prometheus operator, the dashboards.

Compares, and fails where something is not as its sources make it; `--write` makes it so. Needs grafana-foundation-sdk:
`tox -e dashboard`, `tox -e dashboard -- --write`.
"""

import argparse
import sys
from pathlib import Path

from dashboards import fleet_text, node_text
from manifest import prometheus_rule

PLACE = Path(__file__).parents[1] / "monitoring"
RULES = PLACE / "mcd-rt.rules.yaml"


def main() -> int:
    """Compare all of it, or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write instead of comparing")
    write = parser.parse_args().write
    made = {
        PLACE / "prometheusrule.yaml": prometheus_rule(RULES.read_text(), RULES.name),
        PLACE / "dashboards/mcd-rt-fleet.json": fleet_text(),
        PLACE / "dashboards/mcd-rt-node.json": node_text(),
    }
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if not write:
        for path in stale:
            print(f"{path} is not what its sources make: run `tox -e dashboard -- --write`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
