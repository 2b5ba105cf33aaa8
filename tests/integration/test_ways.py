"""The way an image is read, and why, is in the log and counted: for packages, for an OS, for its repository."""

import logging
from pathlib import Path

import pytest

from mcd_rt.errors import AgentError, Code
from mcd_rt.fetching import fetch_needed, provide_repository
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import NeedsContent, NeedsOs
from mcd_rt.model.settings import ContentSettings, Settings
from mcd_rt.observation import Context
from mcd_rt.report.families import FETCHES
from mcd_rt.report.reporter import Reporter
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import kernel_rt_packages
from mcd_rt.sim.osimages import write_machine_os_content
from mcd_rt.supply import recall
from tests.effects_double import EffectsDouble
from tests.integration.osimages import SYSTEM
from tests.leaks import run
from tests.unit import fake_skopeo
from tests.unit.nodes import on_default, situation

pytestmark = pytest.mark.story

RT = kernel_rt_packages("5.14.0", "284.rt14.284.el9", "x86_64", 9)
NAMES = tuple(f"kernel-rt-{suffix}" for suffix in ("core", "modules", "modules-core"))
SITUATION = situation(KernelType.REALTIME, on_default())


class Host:
    """A host with a fake skopeo, whose image has everything."""

    def __init__(self, place: Path) -> None:
        self.place, self.paths = place, HostPaths(place / "root")
        write_keys(self.paths.root)
        self.layout = write_machine_os_content(place / "layout", SYSTEM, RT)
        self.image = ImageReference("registry.example/os", "", self.layout.digest, layout=False)
        self.effects = EffectsDouble()
        settings = Settings(content=ContentSettings(worker="child", idle_timeout=20, fetch_timeout=20))
        self.context = Context(self.paths, settings, self.effects, Reporter(self.effects, self.paths))

    def demand(self, kind: str, **behaviour: object) -> None:
        policy = self.paths.below("/etc/containers/policy.json")
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text(f'{{"default": [{{"type": "{kind}"}}]}}')
        known = {"layout": self.layout.place, "digest": self.layout.digest}
        fake_skopeo.install(self.place / "bin", **known, **behaviour)

    async def packages(self) -> None:
        await fetch_needed(self.context, SITUATION, NeedsContent(self.image, NAMES))

    async def os(self) -> None:
        await fetch_needed(self.context, SITUATION, NeedsOs(self.image, ()))

    async def everything(self) -> None:
        situation = await fetch_needed(self.context, SITUATION, NeedsOs(self.image, NAMES))
        assert situation.content is not None
        assert {package.nevra.name for package in situation.content.packages} == set(NAMES)

    async def repository(self) -> None:
        await provide_repository(self.context, SITUATION, self.image)

    @property
    def counted(self) -> list[tuple[str, ...]]:
        """The series of fetches that are not nothing: way and result."""
        numbers = self.context.reporter.metrics.numbers(FETCHES)
        return [series for series, number in numbers.items() if number]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> Host:
    caplog.set_level(logging.INFO, "mcd_rt")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return Host(tmp_path)


@pytest.mark.parametrize("what", [Host.packages, Host.os, Host.everything, Host.repository])
@pytest.mark.parametrize(
    ("kind", "way", "why"),
    [
        ("insecureAcceptAnything", "proxy", "the policy accepts any image"),
        (
            "reject",
            "copy",
            "the policy demands something of this image, and the proxy of protocol 0.2.3 judges no policy",
        ),
    ],
)
def test_every_fetch_is_logged_and_counted_by_its_way(host, caplog, what, kind, way, why):
    host.demand(kind)
    run(what(host))
    assert any(message.startswith(f"{host.image} is read by way of {way} ({why}") for message in caplog.messages)
    assert host.counted == [(way, "success")]


def test_one_reading_of_an_image_is_enough(host):
    host.demand("insecureAcceptAnything")

    async def everything() -> None:
        await host.everything()
        await host.repository()
        for need in (NeedsOs(host.image, NAMES), NeedsContent(host.image, NAMES)):
            assert await recall(host.context, SITUATION, need) is not None

    run(everything())
    assert sum(host.context.reporter.metrics.numbers(FETCHES).values()) == 1


def test_what_is_on_the_node_is_not_fetched_with_the_rest(host):
    host.demand("insecureAcceptAnything")
    run(host.packages())
    host.effects.attempted.clear()
    situation = run(fetch_needed(host.context, SITUATION, NeedsOs(host.image, NAMES)))
    assert situation.content is None
    assert len(host.effects.subjects("spawn")) == 1  # the worker that judges packages is not needed


@pytest.mark.parametrize("what", [Host.packages, Host.os, Host.everything, Host.repository])
def test_what_is_rejected_while_it_is_copied_is_a_failure_of_copying(host, caplog, what):
    host.demand("reject", fault="no-copy")
    with pytest.raises(AgentError) as caught:
        run(what(host))
    assert caught.value.failure.code is Code.IMAGE_REJECTED_BY_POLICY
    assert any("is read by way of copy" in message for message in caplog.messages)
    assert host.counted == [("copy", "failure")]
