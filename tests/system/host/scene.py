"""A test host with an image and a config: what stories are told on."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release, base_of, pivot_origin
from mcd_rt.sim.image import Compression, Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.scene import KERNEL_RT
from mcd_rt.sim.world import Base, Origin, Tree
from tests.system.host.journal import Journal
from tests.system.host.machine import Machine, StillOn, machine
from tests.system.host.osimages import forget, write_os_image
from tests.system.host.usrlayer import PYTHON, users_of

RELEASES = (Release.EL9, Release.EL9_NEXT)
STEADY_REALTIME = "steady: realtime is wanted and runs"
STEADY_DEFAULT = "steady: default is wanted and runs"
_CONFIG = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  labels:
    machineconfiguration.openshift.io/role: worker
  name: 99-worker-realtime-kernel
spec:
  kernelType: {kernel_type}
  osImageURL: {image}
  kernelArguments: {arguments}
"""


def machine_config(kernel_type: KernelType, image: ImageReference, arguments: Sequence[str] = ()) -> str:
    """A MachineConfig as an operator writes it."""
    return _CONFIG.format(kernel_type=kernel_type.value, image=image, arguments=json.dumps(list(arguments)))


@dataclass
class Host:
    """A machine, the operating systems it can run and the images they came from, and its journal."""

    machine: Machine
    bases: tuple[Base, ...]
    images: tuple[ImageReference, ...]
    journal: Journal

    def ask_for(self, kernel_type: KernelType, release: int = 0, arguments: Sequence[str] = ()) -> None:
        """Drop a MachineConfig, as an operator's tool does."""
        text = machine_config(kernel_type, self.images[release], arguments)
        place = self.machine.etc / "mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml"
        temporary = place.with_name(".new")
        temporary.write_text(text)
        temporary.rename(place)

    def configure(self, text: str, name: str = "60-story") -> None:
        """Settings of the agent, before it is started."""
        (self.machine.etc / f"mcd-rt/config.d/{name}.toml").write_text(text)

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit, before the next boot."""
        place = self.machine.etc / f"systemd/system/{unit}.d/50-story.conf"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def boot(self) -> None:
        """Boot it, and follow its journal."""
        self.machine.boot()
        self.journal.follow()

    def wait_reboot(self) -> None:
        """Wait for the reboot that somebody asks for, boot what is the default then, and follow that."""
        try:
            self.machine.wait_reboot()
        except StillOn as error:
            raise AssertionError(f"{error}; {self.journal.last_said()}") from error
        self.journal.follow()

    def status(self) -> dict[str, object]:
        """As a program reads it."""
        shown = self.machine.attempt("mcd-rt", "status", "--json")
        found = json.loads(shown.stdout)
        assert isinstance(found, dict)
        return found

    def show(self, *properties: str, unit: str = "mcd-rt.service") -> dict[str, str]:
        """Properties of a unit, as systemd tells them."""
        told = self.machine.run("systemctl", "show", unit, *(f"--property={name}" for name in properties))
        return dict(line.split("=", 1) for line in told.splitlines())

    def as_client(self, method: str, argument: str = "", user: str = "root") -> str:
        """What rpm-ostreed answers another client, or the agent's user."""
        client = (*PYTHON, "-m", "tests.system.host.client")
        return self.as_user(user, *client, method, *([argument] if argument else [])).stdout

    def as_user(self, user: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command as some user, with its groups and no capability."""
        become = 'exec setpriv --reuid="$0" --regid="$(id -g "$0")" --init-groups --inh-caps=-all "$@"'
        return self.machine.attempt(*([] if user == "root" else ["sh", "-c", become, user]), *command)

    def transactions(self) -> list[str]:
        """What rpm-ostreed's journal tells of its transactions, all boots."""
        listed = self.machine.attempt("journalctl", "-u", "rpm-ostreed", "-o", "cat", "--grep=^Txn ", "--no-pager")
        return listed.stdout.splitlines()

    @property
    def deployments(self) -> list[str]:
        """The entries of `ostree admin status`: booted is marked by a star."""
        lines = self.machine.run("ostree", "admin", "status").splitlines()
        return [line for line in lines if " rhcos " in f" {line.lstrip('* ')} " and "." in line]


def _installed(hardware: Machine, bases: tuple[Base, ...], images: tuple[ImageReference, ...]) -> Iterator[Host]:
    """The host, which sees its images below /var/lib."""
    inside = Path("/var/lib/images")
    hardware.options.append(f"--bind-ro={hardware.place}/images:{inside}")
    (hardware.sysroot.var / "lib/images").mkdir()
    known = tuple(replace(image, place=str(inside / Path(image.place).name)) for image in images)
    journal = Journal(hardware.sysroot.var / "log/journal", hardware.groups)
    try:
        yield Host(hardware, bases, known, journal)
    finally:
        journal.close()


@contextmanager
def open_host(place: Path, layer: Path, version: str = "2024.9") -> Iterator[Host]:
    """A host that is installed and off; ``version`` is rpm-ostree's."""
    with machine(place, layer) as hardware:
        hardware.sysroot.place.mkdir()
        images = _write_images(place / "images")
        bases = tuple(base_of(release, str(image)) for release, image in zip(RELEASES, images, strict=True))
        published = hardware.sysroot.install(bases, version=version, users=users_of(layer))
        (hardware.etc / "simulated-rpm-ostreed").write_text(f"0 {version}\n")
        yield from _installed(hardware, published, images)


@contextmanager
def open_host_with_os_images(place: Path, layer: Path) -> Iterator[Host]:
    """A host of the first release, whose images are the operating systems: the second is nowhere but in its image."""
    with machine(place, layer) as hardware:
        sysroot = hardware.sysroot
        sysroot.place.mkdir()
        repository = sysroot.place / "ostree/repo"
        bases = sysroot.publish(tuple(replace(base_of(each), refspecs=()) for each in RELEASES), users_of(layer))
        (place / "images").mkdir()
        images = tuple(
            write_os_image(place / "images" / release.name.lower(), release, base, repository)
            for release, base in zip(RELEASES, bases, strict=True)
        )
        forget(bases[1], repository)
        sysroot.deploy(Tree(bases[0], Origin(bases[0].checksum, pivot_origin(f"{images[0].place}@{images[0].digest}"))))
        yield from _installed(hardware, bases, images)


def _write_images(place: Path) -> tuple[ImageReference, ...]:
    place.mkdir()
    made = []
    for release in RELEASES:
        packages = kernel_rt_packages(*KERNEL_RT[release], "x86_64", 9)
        layers = [Layer({"srv/repo/config": b"[core]\n"}), Layer(dict(packages), Compression.GZIP)]
        made.append(write_layout(place / release.name.lower(), layers, tag="latest", architecture="x86_64"))
    return tuple(made)
