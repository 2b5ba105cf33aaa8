"""The deployments as rpm-ostree's properties (``reference/rpm-ostree-dbus.md`` 1)."""

from collections.abc import Iterable

from mcd_rt.dbus.wire import Typed, Value
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.refspec import image_digest, is_container
from mcd_rt.sim.world import Deployment, System, name_of


def sysroot_properties(system: System, profile: Profile, os_path: str) -> dict[str, Typed]:
    """Those of the sysroot object that follow from the deployments; ``os_path`` is the booted OS's object."""
    every: list[Value] = [deployment_properties(each, system.osname, profile) for each in system.deployments]
    return {"Booted": Typed("o", os_path), "Path": Typed("s", "/"), "Deployments": Typed("aa{sv}", every)}


def os_properties(system: System, profile: Profile) -> dict[str, Typed]:
    """Those of the OS object."""
    booted, default = (deployment_properties(each, system.osname, profile) for each in (system.booted, system.merge))
    return {
        "Name": Typed("s", system.osname),
        "BootedDeployment": Typed("a{sv}", booted),
        "DefaultDeployment": Typed("a{sv}", default),
    }


def deployment_properties(deployment: Deployment, osname: str, profile: Profile) -> dict[str, Value]:
    """Every key a client may look at; those that only layered or staged deployments have, only there."""
    tree, origin = deployment.tree, deployment.tree.origin
    found: dict[str, Value] = {
        "id": Typed("s", f"{osname}-{deployment.checksum}.{deployment.serial}"),
        "osname": Typed("s", osname),
        "serial": Typed("i", deployment.serial),
        "checksum": Typed("s", deployment.checksum),
        "version": Typed("s", tree.base.version),
        "timestamp": Typed("t", 0),
        "booted": Typed("b", deployment.booted),
        "pinned": Typed("b", deployment.pinned),
        "unlocked": Typed("s", "none"),
        "regenerate-initramfs": Typed("b", value=False),
        "base-commit-meta": _metadata(tree.base.version, tree.base.kernel_release),
        "packages": _strings(origin.packages),
        "requested-packages": _strings(origin.packages),
        "requested-local-packages": _strings(rpm.nevra for rpm in origin.local),
        "requested-base-removals": _strings(origin.removals),
        "requested-base-local-replacements": _strings(rpm.nevra for rpm in origin.replacements),
        "base-removals": Typed("av", [_package(nevra) for nevra in tree.removed]),
        "base-local-replacements": Typed("a(vv)", [[_package(rpm.nevra), _package(old)] for rpm, old in tree.replaced]),
    }
    found |= _origin_properties(deployment)
    if profile.file_overrides:
        found["requested-local-fileoverride-packages"] = _strings(())
    if tree.layered:
        found["base-checksum"] = Typed("s", tree.base.checksum)
        found["base-version"] = Typed("s", tree.base.version)
        found["base-timestamp"] = Typed("t", 0)
        found["layered-commit-meta"] = _metadata(tree.base.version, tree.kernel_release)
    if deployment.staged:
        found["staged"] = Typed("b", value=True)
        found["finalization-locked"] = Typed("b", deployment.locked)
    return found


def _origin_properties(deployment: Deployment) -> dict[str, Value]:
    """Where it came from; the digest is that of the image that was pulled, also behind a tag or an index."""
    origin = deployment.tree.origin
    found: dict[str, Value] = {}
    if is_container(origin.refspec):
        base = deployment.tree.base
        digest = base.instance_digest or image_digest(origin.refspec) or base.image_digest
        found["container-image-reference"] = Typed("s", origin.refspec)
        found["container-image-reference-digest"] = Typed("s", digest)
    else:
        found["origin"] = Typed("s", origin.refspec)
    if origin.custom is not None:
        found["custom-origin"] = Typed("(ss)", list(origin.custom))
    return found


def _metadata(version: str, kernel_release: str) -> Typed:
    return Typed("a{sv}", {"version": Typed("s", version), "ostree.linux": Typed("s", kernel_release)})


def _package(nevra: str) -> Typed:
    parts = Nevra.parse(nevra)
    fields: list[Value] = [nevra, name_of(nevra), parts.epoch, parts.version, parts.release, parts.architecture]
    return Typed("(sstsss)", fields)


def _strings(items: Iterable[str]) -> Typed:
    return Typed("as", [*items])
