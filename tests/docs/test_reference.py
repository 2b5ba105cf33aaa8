"""The pages of reference have everything there is; what pages outside the site point to is there."""

import re
from pathlib import Path

import pytest

from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.state import State
from mcd_rt.report.health import health_of
from mcd_rt.report.status import Status
from tests.docs.blocks import PAGES, TOP

OUTSIDE = [TOP / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]


def rows_of(page):
    return re.findall(r"^\| `([^`]+)` \|(.*)\|$", (TOP / "docs" / page).read_text(), re.MULTILINE)


def test_every_state_has_its_line_with_its_health():
    health = {state: health_of(Status(state, 0.0, "", 1), 0.0, running=True).replace("-", " a ") for state in State}
    rows = ((name, rest.split("|")[-1].partition(";")[0].strip()) for name, rest in rows_of("states.md"))
    documented = {name: said for name, said in rows if name in set(State)}
    assert documented == {state.value: said for state, said in health.items()}


CALLS = (
    r"\{(?:SYSROOT|OS|LOGIN_MANAGER|SYSTEMD_MANAGER|SYSTEMD_UNIT|TUNED_CONTROL)\}\.(\w+)",
    r"_transaction\(\s*\"(\w+)\"",
    r"_ask\(bus, (?:effects, )?\"(\w+)\"",
)
"""How the wrappers of the services write what they call."""


def test_every_call_has_its_line():
    text = (TOP / "docs/dbus.md").read_text()
    sources = [file.read_text() for file in (TOP / "mcd_rt/dbus").glob("*.py")]
    calls = {call for source in sources for pattern in CALLS for call in re.findall(pattern, source)}
    assert {"UpdateDeployment", "Reboot", "GetUnit", "active_profile", "ScheduleShutdown"} <= calls
    assert [call for call in sorted(calls) if not re.search(rf"[`.]{call}`", text)] == []


def test_every_path_of_the_agents_has_its_line():
    paths = HostPaths(Path("/"))
    documented = {name.partition("*")[0].rstrip("/") for name, _ in rows_of("files.md")}
    ours = {paths.settings[-1], paths.record, paths.tuned, paths.firstboot_done, paths.cache, paths.status, paths.lock}
    assert {str(path) for path in ours | {paths.control}} <= documented


def test_every_unit_has_its_line():
    text = (TOP / "docs/files.md").read_text()
    units = [unit.name for unit in (TOP / "systemd").iterdir()]
    assert len(units) > 8
    assert [unit for unit in sorted(units) if f"`{unit}`" not in text] == []


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_of_pages_outside_the_site_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(target)
    assert broken == []


def anchors_of(file):
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_test_that_a_page_names_is_there():
    named = {name for page in PAGES for name in re.findall(r"`(tests/[\w./]+?)`", page.read_text())}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (TOP / name).exists()] == []


def test_every_room_of_the_house_has_its_line_and_every_file_it_names_is_there():
    text = (TOP / "docs/architecture.md").read_text()
    house = TOP / "mcd_rt"
    tops = {path.name for path in house.glob("*.py")} | {f"{path.parent.name}/" for path in house.glob("*/__init__.py")}
    assert [room for room in sorted(tops) if not room.startswith("__") and f"`{room}`" not in text] == []
    files = [str(path.relative_to(house)) for path in house.rglob("*") if path.suffix in (".py", ".toml")]
    named = set(re.findall(r"`([\w/]+\.(?:py|toml))`", text)) - {"pyproject.toml"}
    assert len(named) > 40
    assert [name for name in sorted(named) if not any(f"/{file}".endswith(f"/{name}") for file in files)] == []
