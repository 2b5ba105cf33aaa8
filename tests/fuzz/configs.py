"""Files of the host: configs, settings, the record, the trust policy, pull secrets, proxies, references of images."""

import os

from mcd_rt.content.policy import accepts_anything
from mcd_rt.content.skopeo import skopeo_for
from mcd_rt.desired.machineconfig import parse_machine_config
from mcd_rt.effects import HostEffects
from mcd_rt.errors import ConfigInvalid
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.record import load_record, save_record
from mcd_rt.settings import load_settings
from tests.fuzz.places import fresh_directory
from tests.fuzz.verdict import documented

IMAGE = ImageReference("registry.example/os", "", "sha256:" + "a" * 64, layout=False)


def machine_config(data: bytes) -> None:
    """A MachineConfig, whatever its file is called; a refusal names a place that is in the text."""
    for source in ("mc.yaml", "mc.json", "currentconfig"):
        with documented(("config-",)):
            refusal = _refusal(data, source)
            if refusal is not None:
                assert len(refusal.failure.message.encode()) < 1000
                assert refusal.line is None or 1 <= refusal.line <= data.count(b"\n") + 1
                raise refusal


def _refusal(data: bytes, source: str) -> ConfigInvalid | None:
    try:
        parse_machine_config(data, source)
    except ConfigInvalid as error:
        return error
    return None


def settings(data: bytes) -> None:
    """A drop-in of settings."""
    with fresh_directory() as root, documented(("settings-",)):
        paths = HostPaths(root)
        paths.settings[-1].mkdir(parents=True)
        (paths.settings[-1] / "50.toml").write_bytes(data)
        load_settings(paths)


def record(data: bytes) -> None:
    """The record; what is believed is remembered again as it is."""
    with fresh_directory() as root, documented(("record-",)):
        paths = HostPaths(root)
        paths.record.parent.mkdir(parents=True)
        paths.record.write_bytes(data)
        found = load_record(paths)
        save_record(HostEffects(), paths, found)
        assert load_record(paths) == found


def policy(data: bytes) -> None:
    """``policy.json``."""
    with documented((), ValueError):
        accepts_anything(data, IMAGE)


def host_files(data: bytes) -> None:
    """A pull secret and the proxies of the node: skopeo can be called afterwards, with an environment that is one."""
    with fresh_directory() as root:
        secret, proxies = root / "auth.json", root / "etc/mco/proxy.env"
        proxies.parent.mkdir(parents=True)
        secret.write_bytes(data)
        proxies.write_bytes(data)
        skopeo = skopeo_for(IMAGE.place, str(root), (str(secret),), "x86_64", str(root))
        for word in (*skopeo.verb("inspect"), *skopeo.environment, *skopeo.environment.values()):
            assert b"\0" not in os.fsencode(word)


def reference(data: bytes) -> None:
    """The reference of an image, as a config has it."""
    with documented((), ValueError):
        found = ImageReference.parse(data.decode(errors="surrogateescape"))
        assert str(found).isprintable()
