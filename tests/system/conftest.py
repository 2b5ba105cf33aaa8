"""What is made once for all stories with a registry: keys, packages, certificates, images."""

import hashlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Compression, Layer, write_layout
from tests.system.host.scene import Host, open_host, open_host_with_os_images
from tests.system.host.usrlayer import write_bare_layer, write_layer
from tests.system.patience import STORY
from tests.system.registry import Authority, Registry, make_authority, missing_programs, run_registry
from tests.system.rpms import Signer, build_rpms, end_agent, make_signer, sign_rpms

LABELS = {"version": "416.94.202405090606-0", "com.coreos.ostree-commit": "c0ffee" * 10}
OS = hashlib.shake_256(b"the operating system").digest(2_000_000)


@dataclass(frozen=True)
class Vendor:
    """Who makes the images: signed packages, and the key for them."""

    signer: Signer
    rpms: tuple[Path, ...]

    @property
    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.rpms}


@pytest.fixture(scope="session")
def usr_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies over /usr in every test host: one for all, nobody writes to it."""
    layer = tmp_path_factory.mktemp("layer")
    layer.chmod(0o755)
    write_layer(layer)
    return layer


@pytest.fixture(scope="session")
def bare_usr_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for hosts that have no agent yet."""
    layer = tmp_path_factory.mktemp("bare-layer")
    layer.chmod(0o755)
    write_bare_layer(layer)
    return layer


_HOSTS = pytest.StashKey[list[Host]]()
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Guard against hanging by a signal: the test fails and says where, while a thread would end the whole worker."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(STORY, method="signal"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the hosts of a test that failed while they are still there: in its own steps, or in those of a fixture."""
    report = yield
    if report.failed and call.when != "teardown":
        for opened in item.stash.get(_HOSTS, []):
            report.sections.append((f"host {opened.machine.name}", opened.machine.report()))
    return report


@pytest.fixture
def host(tmp_path: Path, usr_layer: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A real ostree host that is installed and off; if the test fails, all that an operator would look at is shown."""
    with open_host(tmp_path / "host", usr_layer) as opened:
        yield shown(opened, request)


@pytest.fixture
def bare_host(tmp_path: Path, bare_usr_layer: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """The same without the agent's packages; what is enabled is started, as on other hosts."""
    with open_host(tmp_path / "host", bare_usr_layer) as opened:
        yield shown(opened, request)


@pytest.fixture
def old_host(tmp_path: Path, usr_layer: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """The same with rpm-ostree 2020.8."""
    with open_host(tmp_path / "host", usr_layer, version="2020.8") as opened:
        yield shown(opened, request)


@pytest.fixture
def os_host(tmp_path: Path, usr_layer: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """The same, where images are operating systems that the host does not have."""
    with open_host_with_os_images(tmp_path / "host", usr_layer) as opened:
        yield shown(opened, request)


def shown(opened: Host, request: pytest.FixtureRequest) -> Host:
    """The host, which is shown if the test fails."""
    request.node.stash.setdefault(_HOSTS, []).append(opened)
    return opened


@pytest.fixture(scope="session")
def tools() -> None:
    """Everything that stands in for a registry and a vendor; `tests/system/install-packages` installs it."""
    missing = missing_programs()
    assert not missing, f"run tests/system/install-packages: {', '.join(missing)} are missing"


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory, tools: None) -> Iterator[Vendor]:
    place = tmp_path_factory.mktemp("vendor")
    signer = make_signer(place / "gpg")
    try:
        rpms = build_rpms(place / "rpms", {"core": 400_000, "modules": 300_000})
        sign_rpms(rpms, signer)
        yield Vendor(signer, tuple(rpms))
    finally:
        end_agent(signer)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory, tools: None) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> ImageReference:
    """The image as the proposal has it: the OS in one layer, the packages in a newer one."""
    layers = [Layer({"srv/repo/objects": OS}), Layer({**vendor.files, "pkglist.txt": b"x"}, Compression.GZIP)]
    place = tmp_path_factory.mktemp("image") / "layout"
    return write_layout(place, layers, tag="rt", architecture="x86_64", labels=LABELS)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, tools: None) -> Iterator[Registry]:
    """A registry without TLS that nobody damages."""
    with run_registry(tmp_path_factory.mktemp("plain")) as registry:
        yield registry


@pytest.fixture(scope="session")
def pushed(plain: Registry, layout: ImageReference) -> ImageReference:
    """The image in the plain registry."""
    digest = plain.push(f"oci:{layout.place}:{layout.tag}", "ocp/os:rt")
    assert digest == layout.digest
    return replace(layout, place=f"{plain.host}/ocp/os", tag="", layout=False)


ANYTHING = {"default": [{"type": "insecureAcceptAnything"}]}


def write_host(root: Path, vendor: Vendor, insecure: tuple[str, ...] = (), policy: object = ANYTHING) -> Path:
    """What a host has: the vendor's key, a trust policy, its settings of registries."""
    keys = root / "etc/pki/rpm-gpg"
    keys.mkdir(parents=True)
    (keys / "RPM-GPG-KEY-vendor").write_bytes(vendor.signer.public.read_bytes())
    containers = root / "etc/containers"
    (containers / "registries.d").mkdir(parents=True)
    (containers / "policy.json").write_text(json.dumps(policy))
    lines = [f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in insecure]
    (containers / "registries.conf").write_text("\n".join(lines))
    return root
