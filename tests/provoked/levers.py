"""Levers that the table of faults has not: configs, images, hosts, and how a boot ended."""

import errno
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

from mcd_rt.firstboot import run_firstboot
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import NeedsBase
from mcd_rt.model.state import State
from mcd_rt.sim.hostfiles import RHCOS, write_boot
from mcd_rt.sim.image import Layer, write_layout
from mcd_rt.sim.node import Event, Rebooted
from mcd_rt.sim.world import Deployment, Tree
from tests.integration.lockserver import lock_server
from tests.reliability.faults_levers import Lever, lever, once
from tests.reliability.faults_trial import Trial
from tests.unit import fake_skopeo

_IDENTITY = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig"}
_ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'

Entries = dict[str, bytes]


def doing(act: Callable[[Trial], object]) -> Lever:
    """Something is done to the node before the agent starts."""

    def work(trial: Trial) -> Iterator[None]:
        act(trial)
        yield

    return lever(work)


def asking(**spec: object) -> Lever:
    """The config asks for this, over the proposal's one; ``None`` leaves a field out. ``{image}`` is the node's own."""

    def work(trial: Trial) -> Iterator[None]:
        write_config(trial, **spec)
        yield

    return lever(work)


def write_config(trial: Trial, **spec: object) -> None:
    """As ``asking``."""
    known: dict[str, object] = {"kernelType": "realtime", "osImageURL": str(trial.scene.image)}
    asked = {name: value for name, value in (known | spec).items() if value is not None}
    config = _IDENTITY | {"metadata": {"name": "99-worker"}, "spec": asked}
    trial.scene.write_config(json.dumps(config).encode())


def packages_from(entries: Callable[[], Entries]) -> Lever:
    """The kernel packages come from an image of their own, with these files in it."""

    def work(trial: Trial) -> Iterator[None]:
        write_config(trial, baseOSExtensionsContainerImage=str(image_of(trial.images / "extensions", entries())))
        yield

    return lever(work)


def image_of(place: Path, entries: Entries) -> ImageReference:
    """An image with these files."""
    return write_layout(place, [Layer(entries)], tag="latest", architecture="x86_64")


def registry_says(complaint: str) -> Lever:
    """The kernel packages are in a registry, and this is all that skopeo says of it."""

    def work(trial: Trial) -> Iterator[None]:
        policy = trial.node.paths.below("/etc/containers/policy.json")
        policy.parent.mkdir(parents=True)
        policy.write_text(_ANYTHING)
        place = fake_skopeo.install(trial.images / "bin", fault=f"complaint:{complaint}", layout="", digest="")
        write_config(trial, baseOSExtensionsContainerImage="registry.example/os@sha256:" + "1" * 64)
        with patch.dict(os.environ, PATH=str(place)):
            yield

    return lever(work)


def booted_from(tree: Callable[[Tree], Tree], then: Callable[[Trial], object] = lambda _trial: None) -> Lever:
    """The node runs another deployment than the one it was installed with."""

    def work(trial: Trial) -> Iterator[None]:
        node = trial.node
        system = node.rpm_ostree.system
        changed = replace(system.booted, tree=tree(system.booted.tree), checksum="d" * 64)
        others: tuple[Deployment, ...] = tuple(each for each in system.deployments if not each.booted)
        lists = node.root / "usr/lib/simulated-package-lists"
        base = changed.tree.base
        (lists / base.checksum).write_text("".join(f" {nevra}\n" for nevra in base.packages))
        bases = tuple({each.checksum: each for each in (*system.bases, base)}.values())
        node.rpm_ostree.system = replace(system, bases=bases, deployments=(changed, *others))
        write_boot(node.root, node.rpm_ostree.system, str(uuid4()), RHCOS)
        then(trial)
        yield

    return lever(work)


def host_file(path: str, text: str | None) -> Lever:
    """A file of the host has this in it, or is not there."""

    def work(trial: Trial) -> Iterator[None]:
        file = trial.node.paths.below(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        yield

    return lever(work)


def after_reboot(act: Callable[[Trial], object]) -> Lever:
    """Something is done to the host right after each reboot, before its agent starts."""

    def work(trial: Trial) -> Iterator[None]:
        node = trial.node
        told = node._on_event

        def heard(event: Event) -> None:
            told(event)
            if isinstance(event, Rebooted):
                act(trial)

        node._on_event = heard
        yield
        node._on_event = told

    return lever(work)


def finalizer_said(*lines: str) -> Lever:
    """What is staged is not written at shutdown, and this is what the previous boot's journal has of it."""

    def work(trial: Trial) -> Iterator[None]:
        node = trial.node
        node.faults.finalize_fails = True
        log = node.root / "previous-boot.log"
        log.write_text("".join(f"{line}\n" for line in lines))
        command = node.paths.below("/usr/bin/journalctl")
        command.write_text(f'#!/bin/sh\n[ "$2 $4" = "-1 ostree-finalize-staged.service" ] && exec cat {log}\nexit 1\n')
        command.chmod(0o755)
        yield

    return lever(work)


def no_room_on(place: str, available: int) -> Lever:
    """The file system of a place of the host has so few bytes free."""

    def work(trial: Trial) -> Iterator[None]:
        directory = trial.node.paths.below(place)
        directory.mkdir(parents=True, exist_ok=True)
        real = os.statvfs
        full = os.statvfs_result((1, 1, 0, available, available, 0, 0, 0, 0, 255))
        with patch("os.statvfs", lambda path: full if Path(path) == directory else real(path)):
            yield

    return lever(work)


def another_stages(*, locked: bool, when: State | None = None) -> Lever:
    """Another client stages a package, before the agent starts or as soon as it is in a state."""

    def work(trial: Trial) -> Iterator[None]:
        tree = trial.node.booted.tree

        def stage() -> None:
            mixed = Tree(tree.base, replace(tree.origin, packages=(*tree.origin.packages, "strace")))
            trial.node.another_client_stages(mixed, locked=locked)

        if when is None:
            stage()
        else:
            trial.on_enter = once(trial, when, stage)
        yield

    return lever(work)


def files_cannot_be_opened() -> Lever:
    """The host has no descriptors left where a package in the cache is opened."""

    def work(_trial: Trial) -> Iterator[None]:
        none_left = OSError(errno.ENFILE, os.strerror(errno.ENFILE))
        with patch("mcd_rt.content.cache._open_no_link", side_effect=none_left):
            yield

    return lever(work)


def hook(script: str, mode: int = 0o755) -> Lever:
    """An administrator's hook before the reboot."""

    def work(trial: Trial) -> Iterator[None]:
        place = trial.node.paths.below("/etc/mcd-rt/pre-reboot.d/50-drain")
        place.parent.mkdir(parents=True)
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(mode)
        yield

    return lever(work)


def lock_answers(answer: bytes) -> Lever:
    """The strategy is a lock, and this is what its server says."""

    @asynccontextmanager
    async def work(trial: Trial) -> AsyncIterator[None]:
        async with lock_server() as server:
            server.answer = answer
            (trial.node.root / "etc/mcd-rt/config.d/80-lock.toml").write_text(server.settings())
            yield

    return work


def planner_repeats_itself() -> Lever:
    """The plan asks for what it was given: what must not be, and is noticed."""

    def work(_trial: Trial) -> Iterator[None]:
        with patch("mcd_rt.agent.make_plan", lambda now: NeedsBase(now.deployments.merge.base_checksum)):
            yield

    return lever(work)


def wants_default(trial: Trial) -> None:
    """The config asks for the default kernel."""
    trial.scene.ask_for(KernelType.DEFAULT)


async def as_first_boot(trial: Trial) -> None:
    """The agent runs as the unit before the first workload."""
    await run_firstboot(trial.context(trial.effects()))
