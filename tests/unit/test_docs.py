"""The documentation names everything there is, and nothing else."""

import json
import re
from pathlib import Path

from mcd_rt.model.settings import Settings
from mcd_rt.settings import TracedSettings

DOCS = Path(__file__).parents[2] / "docs"


def first_column(page):
    return re.findall(r"^\| `([^`]+)` \|(?: `([^`]*)` \|)?", (DOCS / page).read_text(), re.MULTILINE)


def test_every_setting_has_its_line_with_its_default():
    known = TracedSettings(Settings(), {}).values()
    documented = dict(first_column("settings.md"))
    assert documented == {key: json.dumps(default) for key, default in known.items()}
