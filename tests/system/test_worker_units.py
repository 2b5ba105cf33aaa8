"""The workers do their work as units, in their sandboxes, on a booted systemd: a secret they are lent, keys, RPM."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mcd_rt.model.image import ImageReference
from tests.system.conftest import ANYTHING, Vendor
from tests.system.container import prepared, why_not

UNITS = Path(__file__).parents[2] / "systemd"
pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


KUBELET = "/var/lib/kubelet/config.json"
OSTREE = "/run/ostree/auth.json"


@pytest.mark.parametrize(
    ("lends", "user", "secret", "mode"),
    [
        (True, "mcd-rt", KUBELET, "755"),
        (True, "mcd-rt", KUBELET, "700"),
        (True, "mcd-rt", OSTREE, "755"),
        (False, "root", KUBELET, "700"),
    ],
)
def test_packages_come_from_a_registry_by_the_units_alone(
    tmp_path, vendor: Vendor, layout: ImageReference, lends, user, secret, mode
):
    """The secret is root's, and the agent is not; where systemd is too old to lend it, the agent has to be root."""
    with prepared(tmp_path / "container") as container:
        root = container.root
        users = root / "usr/lib/sysusers.d/mcd-rt.conf"
        subprocess.run(["systemd-sysusers", f"--root={root}", str(users)], check=True, capture_output=True)
        if not lends:
            name = "mcd-rt-fetch@.service"
            kept = [line for line in (UNITS / name).read_text().splitlines() if "Credential=" not in line]
            (root / "etc/systemd/system" / name).write_text("\n".join(kept))
        (root / "etc/pki/rpm-gpg").mkdir(parents=True)
        shutil.copy(vendor.signer.public, root / "etc/pki/rpm-gpg/RPM-GPG-KEY-vendor")
        (root / "etc/containers").mkdir(exist_ok=True)
        (root / "etc/containers/policy.json").write_text(json.dumps(ANYTHING))
        shutil.copytree(layout.place, root / "opt/layout")
        story = f"-m tests.system.inside /opt/layout {user} {secret} {mode}"
        sockets = ("mcd-rt-fetch.socket", "mcd-rt-inspect.socket")
        printed = container.boot(sockets, story)
        notes = {name: (root / "opt/mcd-rt" / name) for name in ("said", "complained", "journal")}
        texts = {"printed": printed} | {name: path.read_text() if path.exists() else "" for name, path in notes.items()}
    assert texts["said"], texts
    said = json.loads(texts["said"])
    assert said["without"]["code"] == "image-unauthorized", texts
    assert "failure" not in said["with"], texts
    content = said["with"]["content"]
    assert len(content["packages"]) == len(vendor.files)
    assert content["trusted_by"] == "rpmkeys"
    assert content["way"] == "proxy"
