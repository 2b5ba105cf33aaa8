"""What is done inside the container: fetch by way of the units from a registry in there; says how it went as JSON.

It is root, as who sets up a host is; the agent's part of it is done by the user that the agent is.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from mcd_rt.content.fetch import fetch_content
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from tests.system.patience import PATIENCE
from tests.system.registry import PASSWORD, USER, make_authority, run_registry, trust_authority, write_authfile

ROOT = Path("/")
NAMES = tuple(f"kernel-rt-{name}" for name in ("core", "modules-core", "modules", "modules-extra", "kvm"))


def fetch(image: ImageReference) -> dict[str, object]:
    """By the units and nothing else."""
    settings = ContentSettings(worker="socket", idle_timeout=PATIENCE, fetch_timeout=PATIENCE)
    fetching = fetch_content(
        HostEffects(), settings, HostPaths(ROOT), image, NAMES, lambda *_: None, architecture="x86_64"
    )
    try:
        return {"content": asdict(asyncio.run(fetching))}
    except AgentError as error:
        return {"code": error.failure.code, "failure": str(error.failure)}


def fetch_as(user: str, image: ImageReference) -> object:
    """What a process of that user's comes to."""
    argv = [sys.executable, "-m", "tests.system.inside", "fetch", str(image)]
    done = subprocess.run(argv, user=user, group=user, extra_groups=[], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main(layout: str, user: str, secret: str, mode: str) -> None:
    """Without the secret, then with it: a file of root's, in a directory of that mode."""
    said: dict[str, object] = {}
    cache = Path("/var/cache/mcd-rt")
    cache.mkdir(parents=True, exist_ok=True)
    shutil.chown(cache, user, user)
    place = Path(secret)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(int(mode, 8))
    authority = make_authority(Path("/opt/authority"))
    with run_registry(Path("/opt/registry"), authority=authority, basic=True) as registry:
        trust_authority(ROOT, registry.host, authority)
        digest = registry.push(f"oci:{layout}:rt", "ocp/os:rt")
        image = ImageReference(f"{registry.host}/ocp/os", "", digest, layout=False)
        said["without"] = fetch_as(user, image)
        write_authfile(place, registry.host, f"{USER}:{PASSWORD}").chmod(0o600)
        said["with"] = fetch_as(user, image)
    print(json.dumps(said))


if __name__ == "__main__":
    if sys.argv[1] == "fetch":
        print(json.dumps(fetch(ImageReference.parse(sys.argv[2]))))
    else:
        main(*sys.argv[1:])
