"""What is made from the program is what it makes now, and whoever reads it is content."""

import importlib.util
import shutil
import subprocess
import sys

import pytest

from mcd_rt.cli.main import make_parser
from mcd_rt.model.settings import Settings
from mcd_rt.model.state import State
from mcd_rt.settings import TracedSettings
from tests.docs.blocks import TOP
from tests.docs.shell import copy_checkout

PAGES = sorted((TOP / "packaging/man").glob("mcd-rt*"))
VERBS = next(each for each in make_parser()._actions if each.choices and "status" in each.choices).choices
needs_shtab = pytest.mark.skipif(not importlib.util.find_spec("shtab"), reason="shtab is in `tox -e docs`")


def manual(place, *words):
    order = [sys.executable, "packaging/manual", *words]
    return subprocess.run(order, cwd=place, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(TOP)})


@needs_shtab
def test_nothing_has_drifted():
    done = manual(TOP, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


DRIFTS = {
    "docs/settings.md": ("`reboot.per_day` | `4`", "`reboot.per_day` | `5`"),
    "docs/commands.md": ("print one JSON object", "print JSON"),
    "packaging/man/mcd-rt.toml.5": ("reboot.per_day", "reboot.a_day"),
    "packaging/completions/_mcd-rt": ("check-image", "check-images"),
}


@needs_shtab
def test_each_drift_is_told_and_mended(tmp_path):
    copy_checkout(tmp_path)
    right = {name: (tmp_path / name).read_text() for name in DRIFTS}
    for name, (old, new) in DRIFTS.items():
        (tmp_path / name).write_text(right[name].replace(old, new, 1))
    done = manual(tmp_path, "--check")
    assert done.returncode == 1
    assert [name for name in DRIFTS if name not in done.stdout] == []
    assert [name for name in DRIFTS if (tmp_path / name).read_text() == right[name]] == []
    assert manual(tmp_path).returncode == 0
    assert {name: (tmp_path / name).read_text() for name in DRIFTS} == right


@needs_shtab
def test_a_setting_that_there_is_not_is_an_error(tmp_path):
    copy_checkout(tmp_path)
    page = tmp_path / "docs/settings.md"
    page.write_text(page.read_text().replace("`reboot.per_day`", "`reboot.per_week`"))
    done = manual(tmp_path, "--check")
    assert done.returncode == 1
    assert "reboot.per_week" in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize(
    "linter",
    [["man", "--warnings", "-l", "-Tutf8", "-Z"], ["mandoc", "-Tlint", "-Wwarning"]],
    ids=lambda words: words[0],
)
def test_a_manual_page_is_without_fault(page, linter):
    if shutil.which(linter[0]) is None:
        pytest.skip(f"no {linter[0]} here")
    done = subprocess.run([*linter, page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if linter[0] == "mandoc":
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("mcd-rt.1", [f"mcd-rt {verb}" for verb in VERBS]),
        ("mcd-rt.service.8", [state.value for state in State]),
        ("mcd-rt.toml.5", list(TracedSettings(Settings(), {}).values())),
    ],
)
def test_a_manual_page_has_everything_there_is(page, names):
    text = (TOP / "packaging/man" / page).read_text().replace("\\-", "-")
    assert [name for name in names if name not in text] == []


BASH = """\
source {file}
COMP_WORDS=(mcd-rt sta) COMP_CWORD=1
$(complete -p mcd-rt | sed 's/.*-F \\([^ ]*\\).*/\\1/')
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("shell", "file", "question"),
    [
        ("bash", "mcd-rt.bash", BASH),
        ("fish", "mcd-rt.fish", 'source {file}; complete -C "mcd-rt sta"'),
        ("zsh", "_mcd-rt", "zsh -n {file} && grep -o '^ *status:' {file} | tr -d ' :'"),
    ],
)
def test_a_shell_completes_a_verb(shell, file, question, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    words = [shell, "-c", question.format(file=TOP / "packaging/completions" / file)]
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=home)
    assert done.stdout.split()[0] == "status", done.stderr


def test_the_units_name_a_manual_page_that_there_is():
    named = {
        word.removeprefix("man:")
        for unit in (TOP / "systemd").iterdir()
        for line in unit.read_text().splitlines()
        if line.startswith("Documentation=")
        for word in line.removeprefix("Documentation=").split()
    }
    there = {f"{page.stem}({page.suffix[1:]})" for page in PAGES}
    assert named <= there
    assert named


def test_they_are_in_the_wheel():
    text = (TOP / "pyproject.toml").read_text()
    made = [*PAGES, *(TOP / "packaging/completions").iterdir()]
    assert [str(each.relative_to(TOP)) for each in made if f'"{each.relative_to(TOP)}" = "share/' not in text] == []
    assert len(made) == 6
