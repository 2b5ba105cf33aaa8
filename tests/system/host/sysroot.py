"""A real ostree sysroot on disk, and what a boot loader makes of it."""

import json
import shutil
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.bases import installed_origin
from mcd_rt.sim.demokey import FILE_NAME, PUBLIC_KEY
from mcd_rt.sim.hostfiles import RHCOS
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.world import Base, Origin, Tree
from tests.system.host.kernelfile import REAL_KERNELS, write_kernel

OSNAME = "rhcos"
ARGUMENTS = ("root=/dev/vda", "rw", "ignition.platform.id=metal")
_LINKS = ("bin", "sbin", "lib", "lib64")
_DIRECTORIES = ("sysroot", "proc", "dev", "run", "var", "tmp", "boot", "sys", "root", "usr/etc", "usr/lib", "usr/bin")
_FROM_THIS_MACHINE = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nsswitch.conf",
    "alternatives",
    "pam.d",
    "login.defs",
)
_FROM_THIS_MACHINE += ("passwd", "group", "security")
_MACHINE_ID = "0123456789abcdef0123456789abcdef"
_SETTINGS = """\
[node_config]
settle = 0.05
[retry]
initial = 0.3
ceiling = 2
patient = 2
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A boot loader entry: where its deployment is, the kernel command line, the kernel's file."""

    deployment: Path
    options: str
    kernel: Path


class Sysroot:
    """A directory as the disk of a host."""

    def __init__(self, place: Path, kernels: Path = REAL_KERNELS) -> None:
        self.place = place
        self.kernels = kernels
        self._tree = place.with_name("tree")

    @property
    def boot(self) -> Path:
        return self.place / "boot"

    @property
    def var(self) -> Path:
        return self.place / f"ostree/deploy/{OSNAME}/var"

    def install(
        self, bases: tuple[Base, ...], *, version: str, users: Path, arguments: tuple[str, ...] = ARGUMENTS
    ) -> tuple[Base, ...]:
        """Publish every base as a commit, and deploy the first; returns them with the checksums they have.

        ``users`` is the sysusers.d file of the package: its user is in every tree, as rpm-ostree puts it there.
        """
        published = self.publish(bases, users)
        first = published[0]
        self.deploy(Tree(first, installed_origin(first, PROFILES[version])), arguments)
        return published

    def publish(self, bases: tuple[Base, ...], users: Path) -> tuple[Base, ...]:
        """A disk with every base as a commit; returns them with the checksums they have."""
        _ostree("admin", "init-fs", "--modern", str(self.place))
        _ostree("admin", "os-init", f"--sysroot={self.place}", OSNAME)
        self.place.chmod(0o755)
        return tuple(self._publish(base, users) for base in bases)

    def deploy(self, tree: Tree, arguments: tuple[str, ...] = ARGUMENTS) -> None:
        """What an installer does: the first deployment."""
        origin = self._tree.with_name("origin")
        origin.write_text(origin_text(tree))
        wanted = [f"--karg={argument}" for argument in arguments]
        place, file = f"--sysroot={self.place}", f"--origin-file={origin}"
        _ostree("admin", "deploy", place, f"--os={OSNAME}", file, *wanted, tree.base.checksum)
        for directory in ("log/journal", "lib", "tmp", "cache"):
            (self.var / directory).mkdir(parents=True, exist_ok=True)
        (self.var / "tmp").chmod(0o1777)

    def default_entry(self) -> Entry:
        """What a boot loader boots: the entry with the highest version."""
        entries = [_fields(file) for file in (self.boot / "loader/entries").glob("*.conf")]
        chosen = max(entries, key=lambda fields: int(fields["version"]))
        words = dict(word.split("=", 1) for word in chosen["options"].split() if "=" in word)
        deployment = (self.place / words["ostree"].lstrip("/")).resolve()
        return Entry(deployment, chosen["options"], self.boot / chosen["linux"].lstrip("/").removeprefix("boot/"))

    def _publish(self, base: Base, users: Path) -> Base:
        shutil.rmtree(self._tree, ignore_errors=True)
        self._write_skeleton(base, users)
        repo = f"--repo={self.place}/ostree/repo"
        owner = ("--owner-uid=0", "--owner-gid=0", "--no-bindings")  # a commit has several names here
        name = base.version
        _ostree(repo, "commit", f"--branch=skeleton-of/{name}", f"--tree=dir={self._tree}", *owner)
        kernels = self._tree.with_name("kernels")
        shutil.rmtree(kernels, ignore_errors=True)
        write_kernel(kernels, base.kernel_release, realtime="rt" in base.kernel_release, kernels=self.kernels)
        metadata = (f"--add-metadata-string=version={name}", f"--add-metadata-string=simulated.base={_metadata(base)}")
        metadata += (f"--add-metadata-string=ostree.linux={base.kernel_release}", _listed(base))
        trees = (f"--tree=ref=skeleton-of/{name}", f"--tree=dir={kernels}")
        checksum = _ostree(repo, "commit", f"--branch=base/{name}", *trees, *owner, *metadata).strip()
        skeleton = _ostree(repo, "rev-parse", f"skeleton-of/{name}").strip()
        _ostree(repo, "refs", f"--create=skeleton/{checksum}", skeleton)
        return replace(base, checksum=checksum)

    def _write_skeleton(self, base: Base, users: Path) -> None:
        tree = self._tree
        for name in _DIRECTORIES:
            (tree / name).mkdir(parents=True, exist_ok=True)
        (tree / "tmp").chmod(0o1777)
        for link in _LINKS:
            (tree / link).symlink_to(f"usr/{link}")
        (tree / "ostree").symlink_to("sysroot/ostree")
        etc = tree / "etc"
        _write_etc(etc, base)
        subprocess.run(["systemd-sysusers", f"--root={tree}", str(users)], check=True, capture_output=True)
        (tree / "usr/etc").rmdir()
        etc.rename(tree / "usr/etc")
        (tree / "usr/lib/os-release").write_text(RHCOS.format(version=base.version))
        (tree / "usr/share").mkdir()
        packages = "".join(f" {nevra}\n" for nevra in base.packages)
        (tree / "usr/share/simulated-packages").write_text(packages)


def origin_text(tree: Tree) -> str:
    """An origin file: libostree's and rpm-ostree's keys, and the simulator's own."""
    origin: Origin = tree.origin
    key = "container-image-reference" if "registry:" in origin.refspec else "refspec"
    lines = ["[origin]", f"{key}={origin.refspec}"]
    if origin.custom is not None:
        lines += [f"custom-url={origin.custom[0]}", f"custom-description={origin.custom[1]}"]
    lines += ["[simulated]", f"base={tree.base.checksum}", f"origin={json.dumps(asdict(origin))}"]
    return "\n".join(lines) + "\n"


def base_refs(base: Base) -> tuple[str, str]:
    """The branches by which a repository knows a base: the commit, and what of it is not the kernel."""
    return f"base/{base.version}", f"skeleton/{base.checksum}"


def _listed(base: Base) -> str:
    """The packages, as rpm-ostree tells them in the commit."""
    nevras = [Nevra.parse(text) for text in base.packages]
    fields = ((n.name, str(n.epoch), n.version, n.release, n.architecture) for n in nevras)
    rows = ", ".join("(" + ", ".join(f"'{part}'" for part in row) + ")" for row in fields)
    return f"--add-metadata=rpmostree.rpmdb.pkglist=@a(sssss) [{rows}]"


def _metadata(base: Base) -> str:
    told = asdict(base)
    del told["checksum"]
    return json.dumps(told)


def _write_etc(etc: Path, base: Base) -> None:
    etc.mkdir()
    for name in _FROM_THIS_MACHINE:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, etc / name, symlinks=name == "alternatives", ignore_dangling_symlinks=True)
        elif source.exists():
            shutil.copy(source, etc / name)
    texts = {
        "os-release": RHCOS.format(version=base.version),
        "machine-id": f"{_MACHINE_ID}\n",
        "hostname": "node\n",
        "fstab": "",
        "simulated-rpm-ostreed": "0 2024.9\n",
        "mcd-rt/config.d/50-tests.toml": _SETTINGS,
        f"pki/rpm-gpg/{FILE_NAME}": PUBLIC_KEY,
        "systemd/journald.conf.d/50-tests.conf": "[Journal]\nStorage=persistent\nRateLimitBurst=0\nSyncIntervalSec=0\n",
    }
    for name, text in texts.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text)
    (etc / "mcd-rt/machineconfig.d").mkdir()
    (etc / "systemd/system").mkdir(parents=True)
    (etc / "systemd/system/systemd-firstboot.service").symlink_to("/dev/null")


def _fields(entry: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in entry.read_text().splitlines() if " " in line)


def _ostree(*arguments: str) -> str:
    done = subprocess.run(["ostree", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ostree {' '.join(arguments)}: {done.stderr}"
    return done.stdout
