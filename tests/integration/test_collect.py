"""A support archive has what is needed to find a cause, and none of the secrets that are on the node."""

import asyncio
import base64
import io
import json
import os
import sys
import tarfile
from urllib.parse import quote

import pytest

from mcd_rt.model.kernel import KernelType
from tests.integration.conftest import AGENT, PATIENCE, served
from tests.integration.stories import configure

PULL, IGNITION, HASH, UNIT, LUKS, PROXY, TOKEN, COMMENT, JOURNAL, CREDENTIAL = SECRETS = tuple(
    f"{name}-Zx9Qq7Lm3" for name in ("pull", "ign", "hash", "unit", "luks", "proxy", "token", "comment", "log", "cred")
)

CONFIG = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  name: 99-worker
  annotations:
    note: "{TOKEN}"
spec:
  kernelType: realtime
  osImageURL: {image}
  kernelArguments: ["rd.luks.key={LUKS}", "ignition.config.url=https://core:{PROXY}@config.example/"]
  config:
    passwd:
      users: [{{name: core, passwordHash: "$6$salt${HASH}", sshAuthorizedKeys: ["ssh-ed25519 {TOKEN}"]}}]
    storage:
      files:
        - path: /etc/token
          contents: {{source: "data:,{IGNITION}"}}
    systemd:
      units: [{{name: x.service, contents: "[Service]\\nEnvironment=KEY={UNIT}\\n"}}]
"""

JOURNALCTL = f"""\
#!/bin/sh
echo "2026-11-24T03:00:00 node mcd-rt[1]: retrying: image-unreadable: https://core:{PROXY}@registry.example/v2/ refused"
echo "2026-11-24T03:00:00 node rpm-ostreed[2]: Authorization: Bearer {JOURNAL}"
echo "2026-11-24T03:00:00 node mcd-rt[1]: 50-drain: password: {JOURNAL}"
echo "2026-11-24T03:00:00 node mcd-rt[1]: 50-drain: + kubectl --token {JOURNAL} drain node"
"""

SYSTEMCTL = f"""\
#!/bin/sh
case "$*" in *Environment*) echo "Environment=TOKEN={TOKEN}";; esac
echo ActiveState=active "$@"
"""


def plant(scene):
    """Secrets in every place of the node that has some; returns what a process of it has in its environment."""
    node = scene.node
    known = {name: value for name, value in globals().items() if value in SECRETS}
    scene.write_config(CONFIG.format(image=scene.image, **known).encode())
    auth = base64.b64encode(f"core:{PULL}".encode()).decode()
    for place in ("/var/lib/kubelet/config.json", "/run/ostree/auth.json"):
        file = node.paths.below(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"auths": {"registry.example": {"auth": auth}}}))
    credential = node.root / "credentials/pull-secret"
    credential.parent.mkdir()
    credential.write_text(CREDENTIAL)
    configure(node, f'# the password is {COMMENT}\n[reboot]\nstrategy = "never"\n')
    hook = node.paths.below("/etc/mcd-rt/pre-reboot.d/50-drain")
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\nkubectl --token {TOKEN} drain\n")
    hook.chmod(0o755)
    for name, script in (("journalctl", JOURNALCTL), ("systemctl", SYSTEMCTL)):
        command = node.paths.below(f"/usr/bin/{name}")
        command.write_text(script)
        command.chmod(0o755)
    return {
        "REGISTRY_TOKEN": TOKEN,
        "HTTPS_PROXY": f"http://core:{PROXY}@proxy.example:3128",
        "CREDENTIALS_DIRECTORY": str(credential.parent),
    }


def found_in(data):
    """The secrets in some bytes, as they are or as somebody may have written them."""
    spelled = {
        secret: (
            secret.encode(),
            quote(secret, safe="").encode(),
            base64.b64encode(secret.encode())[:-4],
            base64.b64encode(f"core:{secret}".encode())[:-4],
        )
        for secret in SECRETS
    }
    return {secret for secret, ways in spelled.items() if any(way in data for way in ways)}


async def collected(node, environment, *arguments, silent=False):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mcd_rt", "collect", *arguments),
        env=os.environ | node.environment | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"Traceback" not in err
    assert not silent or err == b"", "what its children complain of belongs into the archive"
    return out


def contents_of(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            member.name.removeprefix("mcd-rt-collect/"): archive.extractfile(member).read()
            for member in archive.getmembers()
        }


@pytest.mark.story
def test_no_secret_of_the_node_is_in_the_archive_and_what_is_needed_is(play, tmp_path, monkeypatch):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            environment = plant(scene)
            for name, value in environment.items():  # the agent has them too
                monkeypatch.setenv(name, value)
            await node.run_agent(AGENT)
            await told.wait_for("staged")
            place = tmp_path / "support.tar.gz"
            said = await collected(node, environment, "--output", str(place))
            assert said.startswith(str(place).encode())
            assert place.stat().st_mode & 0o777 == 0o600
            files = contents_of(place.read_bytes())
            assert {name: found_in(data) for name, data in files.items() if found_in(data)} == {}

            raw = b"".join(path.read_bytes() for path in node.root.rglob("*") if path.is_file())
            assert found_in(raw + repr(environment).encode()) == set(SECRETS), "they are there to be found"

            assert b"staged" in files["status.txt"]
            assert b"reboot into" in files["plan.txt"]
            [config] = json.loads(files["configs.json"])
            assert (config["name"], config["kernel_type"]) == ("99-worker", "realtime")
            assert config["kernel_arguments"][0] == "rd.luks.key=REDACTED"
            assert b'reboot.strategy = "never"' in files["settings.toml"]
            assert json.loads(files["record.json"])["attempt"]["phase"] == "staged"
            assert json.loads(files["host.json"])["host"]["os_id"] == "rhcos"
            assert b'mcd_rt_state{state="staged"} 1.0' in files["metrics.txt"]
            assert b"image-unreadable" in files["journal-mcd-rt.txt"]
            assert b"ActiveState=active" in files["units.txt"]
            readme = files["README.txt"].decode()
            assert "status.txt" in readme
            assert "/usr/bin/ostree admin status -- NOT THERE: " in readme
            assert b"mcd-rt-hooks.socket" in files["units.txt"]
            assert "pre-reboot: 1 would be run" in files["hooks.txt"].decode()
            assert "50-drain: -rwxr-xr-x" in files["hooks.txt"].decode()
            assert b'strategy = "never"' in files["drop-ins.txt"]

    play(story())


def test_a_node_where_nothing_works_still_gives_an_archive(play, tmp_path):
    async def story():
        async with served() as (scene, _told):
            node = scene.node
            scene.write_config(b"spec: [kernelType\n  passwd: " + IGNITION.encode())
            (node.root / "etc/mcd-rt/config.d/50-simulated.toml").write_text("[bogus]\n")
            dead = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/nobody"}
            files = contents_of(await collected(node, dead, "--output", "-"))
            readme = files["README.txt"].decode()
            for words in ("FAILED: agent-not-running", "FAILED: settings-invalid", "NOT THERE: "):
                assert words in readme
            assert "host.json" in files
            assert {name: found_in(data) for name, data in files.items() if found_in(data)} == {}

    play(story())


def test_wrong_settings_take_no_evidence_away(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            scene.ask_for(KernelType.DEFAULT)
            await node.run_agent(AGENT)
            await told.wait_for("steady")
            wrong = node.root / "etc/mcd-rt/config.d/99-mine.toml"
            wrong.write_text(f'[reboot]\nstrtegy = "#never"  # {COMMENT}\npassword = "{UNIT}"\n# {COMMENT}\n')
            files = contents_of(await collected(node, {}, "--output", "-"))
            assert "99-mine.toml: reboot.strtegy: unknown key" in files["README.txt"].decode()
            assert b'[reboot]\nstrtegy = "#never"\npassword = REDACTED' in files["drop-ins.txt"]
            assert found_in(files["drop-ins.txt"]) == set()
            assert json.loads(files["configs.json"])[0]["kernel_type"] == "default"
            assert files["plan.txt"].startswith(b"the settings are wrong: with the defaults (")

    play(story())


def test_a_command_that_is_not_there_one_that_fails_and_a_silent_one_are_told_apart(play):
    async def story():
        async with served() as (scene, _told):
            for name, script in (("ostree", "echo so much; echo no repository >&2; exit 3"), ("journalctl", "exit 0")):
                command = scene.node.paths.below(f"/usr/bin/{name}")
                command.write_text(f"#!/bin/sh\n{script}\n")
                command.chmod(0o755)
            files = contents_of(await collected(scene.node, {}, "--output", "-", silent=True))
            lines = {line.split()[0]: line for line in files["README.txt"].decode().splitlines() if " -- " in line}
            assert "-- NOT THERE: " in lines["inhibitors.txt"]
            assert lines["ostree.txt"].endswith("-- FAILED: exit status 3")
            assert files["ostree.txt"] == b"so much\nno repository\n"
            assert lines["boots.txt"].endswith("-- SILENT: it has nothing to say")
            assert {"inhibitors.txt", "boots.txt"}.isdisjoint(files)

    play(story())


def test_only_the_kernel_of_a_wrong_config_is_told_and_where_it_is_wrong(play):
    async def story():
        async with served() as (scene, _told):
            scene.write_config(b"kind: MachineConfig\nspec: [" + IGNITION.encode())
            scene.deliver(KernelType.REALTIME)
            files = contents_of(await collected(scene.node, {}, "--output", "-"))
            wrong, right = json.loads(files["configs.json"])
            assert wrong["wrong"] == "config-invalid"
            assert wrong["line"] is not None
            assert right["kernel_type"] == "realtime"

    play(story())


def test_by_itself_it_goes_to_var_tmp_and_never_over_another(play):
    async def story():
        async with served() as (scene, _told):
            (scene.node.root / "var/tmp").mkdir(parents=True)
            said = (await collected(scene.node, {})).decode()
            [made] = (scene.node.root / "var/tmp").iterdir()
            assert said.startswith(str(made))
            assert contents_of(made.read_bytes())

    play(story())
