"""Levers at what the agent has of its own: disk, record, config, settings, content, workers, sockets."""

import errno
import os
import socket
from collections.abc import Iterator
from types import ModuleType
from unittest.mock import patch

from mcd_rt.effects import HostEffects
from mcd_rt.lock import only_agent
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from tests.effects_double import Effect
from tests.reliability.faults_levers import Lever, lever, once
from tests.reliability.faults_trial import Trial

_WRITES = {
    errno.ENOSPC: ("create", "write", "make_directory"),
    errno.EIO: ("write", "fsync", "fsync_directory"),
    errno.EROFS: ("create", "rename", "make_directory"),
}
"""Which effects fail in which way."""


def failing_writes(place: str, number: int) -> Lever:
    """Writes at a place (a part of the path) fail with this error."""

    def work(trial: Trial) -> Iterator[None]:
        def strike(effect: Effect) -> None:
            there = effect.kind == "make_directory" and os.path.isdir(effect.subject)  # noqa: PTH112 - a string
            if place in effect.subject and effect.kind in _WRITES[number] and not there:
                trial.unmet.discard(place)
                raise OSError(number, os.strerror(number), effect.subject)

        trial.on_effect = strike
        trial.unmet.add(place)
        yield
        trial.on_effect = lambda _effect: None

    return lever(work)


def with_record(data: bytes | str | None) -> Lever:
    """The record is something else before the agent starts: these bytes, a link, or a directory."""

    def work(trial: Trial) -> Iterator[None]:
        record = trial.node.paths.record
        record.parent.mkdir(parents=True)
        match data:
            case bytes():
                record.write_bytes(data)
            case str():
                record.symlink_to(data)
            case None:
                record.mkdir()
        yield

    return lever(work)


def workers(*argv: str) -> Lever:
    """The process that reads the image is another."""

    def work(trial: Trial) -> Iterator[None]:
        right = trial.spawn
        trial.spawn = lambda: HostEffects().spawn(argv, {"PATH": os.defpath})
        yield
        trial.spawn = right

    return lever(work)


def no_descriptors(module: ModuleType) -> Lever:
    """No socket can be made where this module of ``mcd_rt.dbus`` wants to connect."""

    def work(_trial: Trial) -> Iterator[None]:
        right = module.open_socket

        async def starved(address: str, timeout: float) -> socket.socket:  # noqa: ASYNC109 - the signature
            with patch("socket.socket", side_effect=OSError(errno.EMFILE, os.strerror(errno.EMFILE))):
                return await right(address, timeout)

        with patch.object(module, "open_socket", starved):
            yield

    return lever(work)


def image_away() -> Lever:
    """The image is not there."""

    def work(trial: Trial) -> Iterator[None]:
        place = trial.images / "layout"
        place.rename(trial.images / "away")
        yield
        (trial.images / "away").rename(place)

    return lever(work)


def cache_damaged() -> Lever:
    """A fetched package changes just before it is handed over, once."""

    def work(trial: Trial) -> Iterator[None]:
        trial.on_enter = once(trial, State.STAGING, lambda: _flip_a_byte(trial))
        yield

    return lever(work)


def _flip_a_byte(trial: Trial) -> None:
    [entry] = trial.node.paths.cache.iterdir()
    package = entry / "0.rpm"
    data = bytearray(package.read_bytes())
    data[len(data) // 2] ^= 0xFF
    package.write_bytes(data)


def config_becomes(text: bytes | None) -> Lever:
    """The config is replaced (or removed) when the staging begins."""

    def work(trial: Trial) -> Iterator[None]:
        def change() -> None:
            if text is None:
                trial.scene.config.unlink()
            else:
                trial.scene.write_config(text)

        trial.on_enter = once(trial, State.STAGING, change)
        yield
        trial.scene.ask_for(KernelType.REALTIME)

    return lever(work)


def config_flips() -> Lever:
    """The config changes whenever the agent enters another state, and ends where it began."""
    wishes: list[KernelType | None] = [KernelType.DEFAULT, None, KernelType.REALTIME] * 3

    def work(trial: Trial) -> Iterator[None]:
        def flip(_state: State) -> None:
            if not wishes:
                return
            trial.flips += 1
            wish = wishes.pop(0)
            if wish is None:
                trial.scene.write_config(b"spec: [kernelType")
            else:
                trial.scene.ask_for(wish)

        trial.on_enter = flip
        yield

    return lever(work)


def settings_broken() -> Lever:
    """A drop-in gets a mistake while the agent runs, and is read again."""

    def work(trial: Trial) -> Iterator[None]:
        drop_in = trial.node.paths.below("/etc/mcd-rt/config.d/80-mistake.toml")

        def change() -> None:
            drop_in.write_text("[reboot]\nstrateggy = 1\n")
            trial.agent.service.reload()

        trial.on_enter = once(trial, State.STAGING, change)
        yield
        drop_in.unlink()

    return lever(work)


def lock_held() -> Lever:
    """Another agent runs."""

    def work(trial: Trial) -> Iterator[None]:
        with only_agent(HostEffects(), trial.node.paths):
            yield

    return lever(work)


def runtime_is_a_file() -> Lever:
    """There cannot be a ``/run/mcd-rt``."""

    def work(trial: Trial) -> Iterator[None]:
        trial.node.paths.runtime.write_text("")
        yield
        trial.node.paths.runtime.unlink()

    return lever(work)


def port_taken() -> Lever:
    """Somebody else listens where the metrics are to be had."""

    def work(trial: Trial) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            drop_in = trial.node.paths.below("/etc/mcd-rt/config.d/80-port.toml")
            drop_in.write_text(f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
            yield

    return lever(work)
