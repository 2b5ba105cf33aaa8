"""The workers do their work as units, in their sandboxes, on a booted systemd: a secret they are lent, keys, RPM."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mcd_rt.model.image import ImageReference
from tests.system.conftest import ANYTHING, Vendor
from tests.system.container import boot, prepared, why_not

UNITS = Path(__file__).parents[2] / "systemd"
pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.mark.parametrize("lends", [True, False])
def test_packages_come_from_a_registry_by_the_units_alone(tmp_path, vendor: Vendor, layout: ImageReference, lends):
    """Also where systemd is too old to lend a secret: then the agent does."""
    place = tmp_path / "container"
    place.mkdir()
    with prepared(place) as root:
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
        sockets = ("mcd-rt-fetch.socket", "mcd-rt-inspect.socket")
        printed = boot(root, f"mcd-rt-tests-{os.getpid()}", sockets, "-m tests.system.inside /opt/layout")
        notes = {name: (root / "opt/mcd-rt" / name) for name in ("said", "complained", "journal")}
        texts = {"printed": printed} | {name: path.read_text() if path.exists() else "" for name, path in notes.items()}
    assert texts["said"], texts
    said = json.loads(texts["said"])
    assert said["without"] == "image-unauthorized", texts
    assert "failure" not in said, texts
    assert len(said["content"]["packages"]) == len(vendor.files)
    assert said["content"]["trusted_by"] == "rpmkeys"
    assert said["content"]["way"] == "proxy"
