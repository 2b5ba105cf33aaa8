"""Commands on the pages are run as they stand there, or say why they are not."""

import re

import pytest

from mcd_rt.cli.main import _VERBS
from tests.docs.blocks import COMMANDS, OTHERS, PAGES, TOP, Block, blocks_of
from tests.docs.shell import PRELUDE, Shell

NOT_HERE = {
    "docs/installing.md": "what needs root, a registry or a cluster: `tox -e package` and `tox -e system` do it",
    "docs/metrics.md": "a scrape of the agent's own port: tests/integration/test_exposition.py",
    **{
        f"docs/runbooks/{page.name}": "they look at a host that is in trouble: its journal, its disks, its services"
        for page in (TOP / "docs/runbooks").iterdir()
    },
}
"""Pages whose commands are all for a host: why, and what proves them."""
BY_README = {
    "demo": "tests/integration/test_readme.py",
    "tests": "tests/integration/test_readme.py",
    "scenarios": "tests/integration/test_demo.py",
}
"""Blocks of the README that a test of its own runs, by the comment in the line before."""
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMAND_BLOCKS = [block for block in BLOCKS if block.language in COMMANDS]


def name_of(page):
    return str(page.relative_to(TOP))


def commands_of(block):
    """Each command of a block with the text it is said to print; None for one whose text is not said."""
    if block.language == "sh":
        return [(block.text.rstrip(), None)]
    commands = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], ""))
        elif line.startswith("> ") and not commands[-1][1]:
            commands[-1] = (f"{commands[-1][0]}\n{line[2:]}", "")
        else:
            command, printed = commands.pop()
            commands.append((command, f"{printed}{line}\n"))
    return commands


def pattern_of(printed):
    """``...`` stands for anything in a line; a line of it for any lines."""
    return "".join(
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in printed.splitlines()
    )


RUN_PAGES = [page for page in PAGES if name_of(page) not in NOT_HERE and any(block.is_run for block in blocks_of(page))]


@pytest.mark.parametrize("page", RUN_PAGES, ids=name_of)
def test_a_pages_commands_do_what_it_says(page, tmp_path):
    blocks = [block for block in blocks_of(page) if block.is_run]
    shell = Shell(tmp_path)
    try:
        if not any("mcd-rt sim" in block.text for block in blocks):
            assert shell.run(PRELUDE).code == 0
        for block in blocks:
            for command, printed in commands_of(block):
                check(block, command, printed, shell.run(command))
    finally:
        shell.close()


def check(block, command, printed, answer):
    said = f"{block.place}: {command}\nprinted, with exit code {answer.code}:\n{answer.text}"
    expected, _, code = (printed or "").partition("(exit code ")
    killed = "Terminated" in expected
    assert answer.code == (143 if killed else int(code.rstrip(")\n") or 0)), said
    if printed is not None:
        assert re.fullmatch(pattern_of(expected), f"{answer.text}\n" if answer.text else ""), said


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_every_block_is_of_a_kind_that_is_known(block):
    assert block.language in COMMANDS + OTHERS, "say what it is: `sh`, `console`, or what else"
    if block.language == "text":
        assert not re.search(r"^\$ ", block.text, re.MULTILINE), "a command and what it prints is a `console` block"


@pytest.mark.parametrize("block", [each for each in COMMAND_BLOCKS if each.mark], ids=lambda block: block.place)
def test_a_block_that_is_not_run_here_says_why(block):
    if block.mark == "as in the README":
        assert block.text.strip() in readme_demo()
    elif block.page.name == "README.md":
        assert block.mark in (TOP / BY_README[block.mark]).read_text()
    else:
        assert re.fullmatch(r"not run: .{10,}", block.mark)


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=lambda block: block.place)
def test_a_verb_of_ours_is_one_that_there_is(block):
    """Of commands that are not run here too."""
    text = "\n".join(command for command, _ in commands_of(block))
    verbs = re.findall(r"(?:^|[;&|(]|-- |bin/)\s*mcd-rt ([a-z][a-z-]*)", text, re.MULTILINE)
    assert [verb for verb in verbs if verb not in _VERBS] == []


def readme_demo():
    return next(block.text for block in BLOCKS if block.page.name == "README.md" and block.mark == "demo")


def test_the_pages_that_are_excused_have_commands():
    assert {name_of(block.page) for block in COMMAND_BLOCKS} >= set(NOT_HERE)


@pytest.mark.parametrize(
    ("printed", "text", "fits"),
    [
        ("a ... c\n", "a b c\n", True),
        ("a ... c\n", "a b d\n", False),
        ("a\n...\nc\n", "a\nx\ny\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", True),
        ("a\n...\n", "b\na\n", False),
        ("1+1 (x) [y]\n", "1+1 (x) [y]\n", True),
    ],
)
def test_what_a_page_leaves_out_is_what_may_differ(printed, text, fits):
    assert bool(re.fullmatch(pattern_of(printed), text)) is fits


def test_a_console_block_is_its_commands_with_what_they_print():
    block = Block(TOP / "README.md", 1, "", "console", "$ one\n1\n$ two \\\n> more\n$ three\n3\n3\n")
    assert commands_of(block) == [("one", "1\n"), ("two \\\nmore", ""), ("three", "3\n3\n")]
