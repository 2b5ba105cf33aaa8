"""The simulator's world kept in real libostree deployments: what is on disk is read, and what is wanted is written.

Runs inside the test host, where ``gi`` is. What libostree cannot know of a deployment (which packages rpm-ostree was
asked for) is in the metadata of base commits and in the origin files of deployments.
"""

import json
import subprocess
from pathlib import Path

import gi

from mcd_rt.sim.world import Base, Deployment, Origin, Rpm, System, Tree
from tests.system.host.kernelfile import write_kernel
from tests.system.host.sysroot import OSNAME, origin_text

gi.require_version("OSTree", "1.0")
from gi.repository import GLib, OSTree  # noqa: E402 - the version has to be said first

BASE = "simulated.base"
"""Metadata of a base commit: the ``Base`` as JSON, all but its checksum."""
LOCK = Path("/run/ostree/staged-deployment-locked")
_REPO = "/ostree/repo"
_SECTION = "simulated"


def load() -> System:
    """The system as libostree sees it now."""
    sysroot = _sysroot()
    bases = _bases(sysroot.repo())
    known = {base.checksum: base for base in bases}
    found = tuple(_deployment(each, sysroot, known) for each in sysroot.get_deployments())
    return System(OSNAME, found, bases)


def store(system: System) -> System:
    """Make the disk what the simulator says, and return what is there then: checksums are libostree's."""
    there = load()
    new = system.staged
    if new is None or any(_same(new, each) for each in there.deployments):
        _write(system, there)
        if new is not None and not new.locked:
            LOCK.unlink(missing_ok=True)
    else:
        _stage(new)
    return load()


def _same(one: Deployment, other: Deployment) -> bool:
    return (one.checksum, one.serial) == (other.checksum, other.serial)


def _sysroot() -> OSTree.Sysroot:
    sysroot = OSTree.Sysroot.new_default()
    sysroot.load(None)
    return sysroot


def _bases(repo: OSTree.Repo) -> tuple[Base, ...]:
    _, refs = repo.list_refs("base", None)
    found = []
    for checksum in refs.values():
        told = json.loads(_metadata(repo, checksum, BASE))
        told |= {"packages": tuple(told["packages"]), "refspecs": tuple(told["refspecs"])}
        found.append(Base(checksum=checksum, **told))
    return tuple(sorted(found, key=lambda base: base.version))


def _metadata(repo: OSTree.Repo, checksum: str, key: str) -> str:
    _, commit, _state = repo.load_commit(checksum)
    value = commit.get_child_value(0).lookup_value(key, GLib.VariantType("s"))
    return value.get_string()


def _deployment(found: OSTree.Deployment, sysroot: OSTree.Sysroot, known: dict[str, Base]) -> Deployment:
    origin = found.get_origin()
    tree = Tree(known[origin.get_string(_SECTION, "base")], _read_origin(origin.get_string(_SECTION, "origin")))
    options = found.get_bootconfig().get("options") or ""
    booted = sysroot.get_booted_deployment()
    return Deployment(
        tree,
        found.get_csum(),
        found.get_deployserial(),
        " ".join(word for word in options.split() if not word.startswith("ostree=")),
        staged=found.is_staged(),
        booted=booted is not None and found.equal(booted),
        locked=found.is_staged() and LOCK.exists(),
        pinned=found.is_pinned(),
    )


def _read_origin(text: str) -> Origin:
    told = json.loads(text)
    rpms = {key: tuple(Rpm(**rpm) for rpm in told[key]) for key in ("local", "replacements")}
    lists = {key: tuple(told[key]) for key in ("packages", "removals")}
    custom = told["custom"]
    return Origin(told["refspec"], tuple(custom) if custom else None, **lists, **rpms)


def _stage(new: Deployment) -> None:
    """As rpm-ostree does: a commit of its own if anything is layered, then libostree's staging."""
    checksum = _commit(new.tree) if new.tree.layered else new.tree.base.checksum
    origin = GLib.KeyFile()
    text = origin_text(new.tree)
    origin.load_from_data(text, len(text.encode()), GLib.KeyFileFlags.NONE)
    sysroot = _sysroot()
    sysroot.stage_tree(OSNAME, checksum, origin, sysroot.get_booted_deployment(), new.kernel_arguments.split(), None)
    if new.locked:
        LOCK.touch()
    else:
        LOCK.unlink(missing_ok=True)


def _commit(tree: Tree) -> str:
    """The base without its kernel, and the kernels that are left or come."""
    place = Path("/var/tmp/simulated-tree")
    subprocess.run(["rm", "-rf", str(place)], check=True)
    for release in sorted(tree.module_directories):
        write_kernel(place, release, realtime=tree.realtime and release == tree.kernel_release)
    skeleton = f"--tree=ref=skeleton/{tree.base.checksum}"
    command = ["ostree", f"--repo={_REPO}", "commit", "--orphan", skeleton, f"--tree=dir={place}"]
    command += ["--owner-uid=0", "--owner-gid=0", f"--add-metadata-string=version={tree.base.version}"]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return made.stdout.strip()


def _write(system: System, there: System) -> None:
    """Another order, or fewer deployments; nothing where they are the same."""
    wanted = [(each.checksum, each.serial) for each in system.deployments]
    if wanted == [(each.checksum, each.serial) for each in there.deployments]:
        return
    sysroot = _sysroot()
    found = {(each.get_csum(), each.get_deployserial()): each for each in sysroot.get_deployments()}
    sysroot.write_deployments([found[identity] for identity in wanted], None)
    sysroot.cleanup(None)
    if all(not each.staged for each in system.deployments):
        LOCK.unlink(missing_ok=True)
