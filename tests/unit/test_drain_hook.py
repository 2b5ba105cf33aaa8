"""The example that drains: what it asks of the API server, on a host whose client only writes down what it is asked."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PACKAGING = Path(__file__).parents[2] / "packaging"
HOOK = PACKAGING / "hooks/50-drain.sh"
CLIENT = """#!/bin/sh
for word; do case $word in --*=*) ;; *) printf '%s ' "$word" ;; esac; done >> asked
echo >> asked
case "$*" in
*whoami*) [ -e whoami ] && cat whoami ;;
*"get node"*) cat unschedulable ;;
*drain*) [ ! -e drain-fails ] || { echo "error: unable to drain node" >&2; exit 1; } ;;
*uncordon*) [ ! -e uncordon-fails ] ;;
esac
"""


class Host:
    """A directory with a client, a kubeconfig and a place for the mark."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.tools = place / "bin"
        self.tools.mkdir()
        for tool in ("rm", "uname"):
            (self.tools / tool).symlink_to(str(shutil.which(tool)))
        (place / "kubeconfig").write_text("")
        (place / "whoami").write_text("system:node:worker-3")
        (place / "unschedulable").write_text("")
        self.client()

    def client(self, name="kubectl"):
        (self.tools / "cat").unlink(missing_ok=True)
        (self.tools / "cat").symlink_to(str(shutil.which("cat")))
        (self.tools / name).write_text(CLIENT)
        (self.tools / name).chmod(0o755)

    def run(self, occasion, **environment):
        known = {"PATH": str(self.tools), "MCD_RT_OCCASION": occasion, "STATE_DIRECTORY": str(self.place)}
        known |= {"KUBECONFIGS": f"/nowhere/kubeconfig {self.place}/kubeconfig"} | environment
        (self.place / "asked").write_text("")
        return subprocess.run([HOOK], env=known, cwd=self.place, capture_output=True, text=True, check=False)

    @property
    def asked(self):
        return [line.strip() for line in (self.place / "asked").read_text().splitlines() if "whoami" not in line]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_it_cordons_drains_and_uncordons_its_own_node(host):
    assert host.run("pre-reboot").returncode == 0
    assert host.asked == [
        "get node worker-3 -o jsonpath={.spec.unschedulable}",
        "cordon worker-3",
        "drain worker-3 --ignore-daemonsets --delete-emptydir-data",
    ]
    assert host.run("post-verify").returncode == 0
    assert host.asked == ["uncordon worker-3"]
    assert host.run("post-verify").returncode == 0
    assert host.asked == []


def test_a_drain_that_failed_fails_and_is_gone_on_with_the_next_time(host):
    (host.place / "drain-fails").touch()
    done = host.run("pre-reboot")
    assert (done.returncode, done.stderr) == (1, "error: unable to drain node\n")
    (host.place / "drain-fails").unlink()
    (host.place / "unschedulable").write_text("true")  # by us
    assert host.run("pre-reboot").returncode == 0
    assert [words.split()[0] for words in host.asked] == ["drain"]
    assert host.run("post-verify").returncode == 0
    assert host.asked == ["uncordon worker-3"]


def test_a_node_that_somebody_else_cordoned_stays_so(host):
    (host.place / "unschedulable").write_text("true")
    assert host.run("pre-reboot").returncode == 0
    assert [words.split()[0] for words in host.asked] == ["get", "drain"]
    assert host.run("post-verify").returncode == 0
    assert host.asked == []


def test_an_uncordon_that_failed_is_owed(host):
    assert host.run("pre-reboot").returncode == 0
    (host.place / "uncordon-fails").touch()
    assert host.run("post-verify").returncode != 0
    (host.place / "uncordon-fails").unlink()
    assert host.run("post-verify").returncode == 0
    assert host.asked == ["uncordon worker-3"]


def test_an_older_client_does_not_say_who_it_is_and_the_node_has_the_hosts_name(host):
    (host.place / "whoami").unlink()
    assert host.run("pre-reboot", NODE_NAME="other-name").returncode == 0
    assert host.asked[0] == "get node other-name -o jsonpath={.spec.unschedulable}"


def test_oc_serves_as_well(host):
    (host.tools / "kubectl").rename(host.tools / "oc")
    assert host.run("pre-reboot").returncode == 0
    assert len(host.asked) == 3


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        (lambda host: (host.tools / "kubectl").unlink(), "neither kubectl nor oc is on this host"),
        (lambda host: (host.place / "kubeconfig").unlink(), "none of these can be read: /nowhere/kubeconfig"),
    ],
)
def test_what_is_missing_is_named(host, lacks, words):
    lacks(host)
    done = host.run("pre-reboot")
    assert done.returncode != 0
    assert words in done.stderr
    assert host.asked == []


def test_a_person_who_starts_it_is_told_what_it_is(host):
    done = host.run("")
    assert done.returncode != 0
    assert "started by mcd-rt" in done.stderr


def test_the_role_adds_what_a_node_lacks_and_no_more():
    role, binding = yaml.safe_load_all((PACKAGING / "manifests/drain-role.yaml").read_text())
    assert role["rules"] == [{"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == ["system:nodes"]
