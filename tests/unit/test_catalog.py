"""The journal's catalogue explains every state and every code, in the texts of ``mcd-rt explain``."""

import re
from pathlib import Path

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.report.catalog import catalog
from mcd_rt.report.codes import load_texts, without_links
from mcd_rt.report.events import Event, message_id

DELIVERED = Path(__file__).parents[2] / "packaging/catalog/mcd-rt.catalog"


@pytest.fixture(scope="module")
def entries():
    """Id → text."""
    parts = re.split(r"^-- ([0-9a-f]{32})$", DELIVERED.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_what_is_delivered_is_what_the_texts_make():
    assert DELIVERED.read_text() == catalog(), "run python packaging/manual"


def test_every_state_and_every_code_has_its_entry(entries):
    assert set(entries) == {message_id(each) for kind in (State, Code) for each in kind}


@pytest.mark.parametrize("code", Code)
def test_a_code_is_explained_as_elsewhere(entries, code):
    text, entry = load_texts()[code], entries[message_id(code)]
    assert entry.startswith(f"\nSubject: failure {code}\nDefined-By: mcd-rt\n")
    for told in (text.means, text.means_not, *map(without_links, text.steps)):
        assert told in entry
    assert "@MCD_RT_HINT@" in entry


def test_the_fields_it_puts_in_are_those_of_the_lines(entries):
    known = {name for name, _ in Event().fields()}
    asked = {name for entry in entries.values() for name in re.findall(r"@([A-Z_]+)@", entry)}
    assert asked
    assert asked <= known
