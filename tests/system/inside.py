"""What is done inside the container: fetch by way of the units from a registry in there; says how it went as JSON."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mcd_rt.content.fetch import fetch_content
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from tests.system.patience import PATIENCE
from tests.system.registry import PASSWORD, USER, make_authority, run_registry, trust_authority, write_authfile

ROOT = Path("/")
NAMES = tuple(f"kernel-rt-{name}" for name in ("core", "modules-core", "modules", "modules-extra", "kvm"))


def fetched(image: ImageReference) -> Content:
    """By the units and nothing else."""
    settings = ContentSettings(worker="socket", idle_timeout=PATIENCE, fetch_timeout=PATIENCE)
    return asyncio.run(
        fetch_content(HostEffects(), settings, HostPaths(ROOT), image, NAMES, lambda *_: None, architecture="x86_64")
    )


def main(layout: str) -> None:
    """Without the secret, then with it."""
    said: dict[str, object] = {}
    authority = make_authority(Path("/opt/authority"))
    with run_registry(Path("/opt/registry"), authority=authority, basic=True) as registry:
        trust_authority(ROOT, registry.host, authority)
        digest = registry.push(f"oci:{layout}:rt", "ocp/os:rt")
        image = ImageReference(f"{registry.host}/ocp/os", "", digest, layout=False)
        try:
            fetched(image)
        except AgentError as error:
            said["without"] = error.failure.code
        write_authfile(ROOT / "var/lib/kubelet/config.json", registry.host, f"{USER}:{PASSWORD}")
        try:
            content = fetched(image)
        except AgentError as error:
            said["failure"] = str(error.failure)
        else:
            said["content"] = asdict(content)
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
