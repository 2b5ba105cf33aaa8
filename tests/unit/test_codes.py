"""Every code has its words, in one place: what `mcd-rt explain` prints, what the docs have, and what the agent does."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from mcd_rt.cli.main import _VERBS, main
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import only_agent
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.settings import Settings
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import Retry, outcome_of_failure
from mcd_rt.report import codes
from mcd_rt.report.codes import load_texts
from mcd_rt.report.codes_page import codes_page
from mcd_rt.report.status import PastFailure, Status, write_status
from mcd_rt.settings import TracedSettings
from tests.effects_double import EffectsDouble

TEXTS = load_texts()
PAGE = Path(__file__).parents[2] / "docs/codes.md"
BY_THEMSELVES = {Code.FIRSTBOOT_TIMEOUT, Code.TUNED_LEFT_ALONE, Code.METRICS_UNAVAILABLE}
"""Codes that end no pass: the agent goes on."""


def test_every_code_has_a_text_in_the_order_of_the_taxonomy():
    assert list(TEXTS) == list(Code)


def test_a_code_without_a_text_is_named(monkeypatch):
    document = tomllib.loads((Path(codes.__file__).parent / "codes.toml").read_text())
    document["The reboot and after"].pop("rolled-back")
    monkeypatch.setattr(codes.tomllib, "loads", lambda _text: document)
    with pytest.raises(KeyError, match="rolled-back"):
        load_texts()


@pytest.mark.parametrize("text", TEXTS.values(), ids=lambda text: text.code.value)
def test_a_text_says_all_it_has_to(text):
    for sentences in (text.means, text.means_not):
        assert sentences.endswith(".")
        assert len(sentences) > 20
    assert text.then
    assert not text.then.endswith(".")
    assert text.steps
    for step in (text.means, text.means_not, text.then, *text.steps):
        assert step.count("`") % 2 == 0, step


@pytest.mark.parametrize("text", TEXTS.values(), ids=lambda text: text.code.value)
def test_what_is_said_to_happen_then_is_what_the_agent_does(text):
    outcome = outcome_of_failure(Failure(text.code, "", ""))
    patiently = isinstance(outcome, Retry) and outcome.patiently
    retried = isinstance(outcome, Retry) or text.code in BY_THEMSELVES
    assert ("once an hour" in text.then) is patiently
    assert retried or "retries" not in text.then
    assert not isinstance(outcome, Retry) or re.search("retries|looks again|held", text.then)


def commands():
    words = [word for text in TEXTS.values() for word in (text.means, text.means_not, text.then, *text.steps)]
    return [command for text in words for command in re.findall(r"`([^`]+)`", text)]


def test_only_verbs_settings_and_codes_are_named_that_there_are():
    settings = set(TracedSettings(Settings(), {}).values())
    sections = {name.partition(".")[0] for name in settings}
    for command in commands():
        verb = re.match(r"mcd-rt ([a-z-]+)", command)
        assert verb is None or verb[1] in _VERBS, command
        setting = re.match(r"([a-z_]+)\.[a-z_]+(?= =|$)", command)
        if setting is not None and setting[1] in sections:
            assert setting[0] in settings, command


def test_the_page_of_the_docs_is_made_of_the_texts():
    assert PAGE.read_text() == codes_page(), "run python packaging/manual"
    assert re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE) == [code.value for code in Code]


def raised_without_hint(text):
    """Failures in a source text that say nothing of a way out, and whose code has none of its own."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name("AgentError" | "Failure" as name), args=[ast.Attribute(attr=code), _]):
                own = name == "AgentError" and AgentError(Code[code], "").failure.hint
                if not own and not any(keyword.arg == "hint" for keyword in node.keywords):
                    yield f"{node.lineno}: {ast.unparse(node)}"


def test_every_failure_says_the_way_out():
    sources = (Path(__file__).parents[2] / "mcd_rt").rglob("*.py")
    found = {str(file): [*raised_without_hint(file.read_text())] for file in sources}
    assert {file: lines for file, lines in found.items() if lines} == {}
    assert [*raised_without_hint("raise AgentError(Code.DISK_SPACE, 'x')")]
    assert [*raised_without_hint("Failure(Code.INTERNAL_ERROR, 'x')")]
    assert not [*raised_without_hint("raise AgentError(Code.INTERNAL_ERROR, 'x')")]


PACKAGE = Path(__file__).parents[2] / "mcd_rt"
NAMED = r"docs/([\w-]+\.md(?:#[\w-]+)?)"
"""How texts of the program name a page, and a place on it."""
LINKED = r"\]\(([\w-]+\.md(?:#[\w-]+)?)\)"


def named_places():
    """The pages that texts of the program send people to, each with where it says so."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from ((place, f"{file.name}:{node.lineno}") for place in pages_in(node.value))
    for text in TEXTS.values():
        for words in (text.means, text.means_not, text.then, *text.steps):
            yield from ((place, text.code.value) for place in pages_in(words))


def pages_in(text):
    return [place for pattern in (NAMED, LINKED) for place in re.findall(pattern, text)]


def is_there(place):
    name, _, anchor = place.partition("#")
    page = PAGE.parent / name
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE) if page.exists() else ()
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return page.exists() and (not anchor or anchor in anchors)


def test_every_page_that_a_text_of_the_program_names_is_there():
    places = [*named_places()]
    assert {"reboots.md#sentinel", "debugging.md", "hooks.md"} <= {place for place, _ in places}
    assert [found for found in places if not is_there(found[0])] == []
    assert not is_there("nowhere.md")
    assert not is_there("codes.md#nowhere")
    assert is_there("codes.md#boot-space")


# The verb


def explained(capsys, *words):
    code = main(["explain", *words])
    return code, capsys.readouterr().out


def test_a_code_is_explained_with_all_its_words(capsys):
    code, text = explained(capsys, "not-finalized", "boot-space")
    assert code == 0
    flat = " ".join(text.split())
    for each in (Code.NOT_FINALIZED, Code.BOOT_SPACE):
        told = TEXTS[each]
        for words in (each.value, told.means, f"not {told.means_not}", f"then {told.then}", f"to do {told.steps[0]}"):
            assert " ".join(words.split()) in flat
    assert max(map(len, text.splitlines())) <= 110


def test_a_code_that_is_none_is_told_with_the_nearest(capsys):
    code, text = explained(capsys, "not-finalised")
    assert code == 64
    assert "near it: not-finalized" in text
    code, text = explained(capsys, "bogus-word")
    assert code == 64
    assert "mcd-rt explain --list" in text


def test_all_can_be_listed_and_had_as_json(capsys):
    assert explained(capsys, "--list")[1].split() == [code.value for code in Code]
    document = json.loads(explained(capsys, "--json", "boot-space")[1])
    assert document["boot-space"]["to_do"] == list(TEXTS[Code.BOOT_SPACE].steps)


def test_without_a_code_it_is_what_this_node_says_now(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MCD_RT_ROOT", str(tmp_path))
    say = EffectsDouble()
    with only_agent(say, HostPaths(tmp_path)):
        write_status(say, HostPaths(tmp_path), Status(State.STEADY, 1.0, "boot", 1))
        assert "nothing is wrong now" in explained(capsys)[1]
        waits = Status(State.STAGED, 1.0, "boot", 1, "waits for somebody", awaiting=Awaiting(Gate.PERSON))
        write_status(say, HostPaths(tmp_path), waits)
        text = explained(capsys)[1]
        assert "nothing is wrong now" in text
        assert "staged: waits for somebody" in text
        assert "next: a reboot at `mcd-rt reboot`; no end was given" in text
        assert "last error" not in text
        past = PastFailure(Failure(Code.IMAGE_UNREADABLE, "m", "h"), 1.0)
        write_status(say, HostPaths(tmp_path), Status(State.FETCHING, 1.0, "boot", 1, "again", last_error=past))
        assert "`mcd-rt explain image-unreadable` says more" in explained(capsys)[1]
    assert explained(capsys)[1].startswith("agent-not-running\n")
    failure, also = Failure(Code.BASE_UNKNOWN, "m", "h"), (Failure(Code.TUNED_LEFT_ALONE, "m", "h"),)
    with only_agent(say, HostPaths(tmp_path)):
        write_status(say, HostPaths(tmp_path), Status(State.BLOCKED, 1.0, "boot", 1, failure=failure, also=also))
        text = explained(capsys)[1]
    assert text.startswith("base-unknown\n")
    assert "\n\ntuned-left-alone\n" in text
