"""The README's commands are the ones that work: they are run from a fresh copy, as they stand there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


def block(name):
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)\n?```", (TOP / "README.md").read_text(), re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def fresh_copy(tmp_path):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TOP / name).is_file():
            target = tmp_path / "mcd-rt" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, target)
    return tmp_path / "mcd-rt"


@pytest.mark.story
@pytest.mark.timeout(300)
def test_the_demo_command_sets_everything_up_and_works(fresh_copy):
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("demo")],
        cwd=fresh_copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same config again: nothing was done" in done.stdout
    shown = [shape_of(line) for line in block("demo output").splitlines() if line.strip()]
    printed = [shape_of(line) for line in done.stdout.splitlines() if line.strip()]
    assert shown == printed, "the README shows another output than the demo prints"


def shape_of(line):
    """A line without what differs from run to run: times, temporary places, digests."""
    return re.sub(r"\d+\.\d s|/\S+|[0-9a-f]{12,}|\s+", " ", line).strip()


AFTERWARDS = (
    "tox -e docs -- --check",
    "tox -e stories",
    "tox -e dashboard",
    "tox -e fleet",
    "tox -e fuzz -- --seconds 1",
    "tox -e reliability -- --quick --seed 255",
    "tox -e package",
    "tox -e system",
)


@pytest.fixture
def what_ci_reads(tmp_path):
    """The script and the page that it takes its command from, which is all that it reads itself."""
    for name in (".ci/run", "README.md"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(TOP / name, target)
    return tmp_path


def test_ci_runs_exactly_the_readmes_test_command(what_ci_reads):
    stub = what_ci_reads / "stub"
    stub.mkdir()
    (stub / "python3").write_text(
        '#!/bin/sh\nmkdir -p .venv/bin\nfor n in pip tox; do ln -sf "$PWD/stub/said" .venv/bin/$n; done\n'
    )
    (stub / "said").write_text('#!/bin/sh\necho "$(basename "$0") $*" >> said.log\n')
    (stub / "apt-get").write_text("#!/bin/sh\n")  # what this machine lacks is not installed on it by a test
    (stub / "git").write_text('#!/bin/sh\n[ "$*" = "-c safe.directory=* rev-parse HEAD" ] && echo 00000ff0123456789\n')
    for script in stub.iterdir():
        script.chmod(0o755)
    done = subprocess.run(
        ["bash", ".ci/run"],
        cwd=what_ci_reads,
        env=os.environ | {"PATH": f"{stub}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"+ {block('tests')}" in done.stdout
    said = (what_ci_reads / "said.log").read_text().splitlines()
    assert said == ["pip install --quiet tox", "tox ", *AFTERWARDS]
    assert "== stages ==" in done.stdout
    assert "+ tox -e reliability -- --quick --seed 255\n" in done.stdout, "whoever repeats a failure has to know it"
