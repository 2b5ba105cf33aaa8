"""The levers: what is done to a node from outside. Each is in force inside its ``async with``, and over after it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from unittest.mock import patch

from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.sim import node as simulated
from mcd_rt.sim.faults import AtStep, Twist
from mcd_rt.sim.neighbours import admin_rolls_back
from mcd_rt.sim.node import Event, Rebooted
from mcd_rt.sim.peer import Manner
from mcd_rt.sim.world import Deployment, System, reboot
from tests.reliability.faults_trial import Trial

Lever = Callable[[Trial], AbstractAsyncContextManager[None]]


def lever(work: Callable[[Trial], Iterator[None]]) -> Lever:
    """A lever whose turning waits for nothing."""
    manager = contextmanager(work)

    @asynccontextmanager
    async def turned(trial: Trial) -> AsyncIterator[None]:
        with manager(trial):
            yield

    return turned


def nothing() -> Lever:
    """An undisturbed node."""

    def work(_trial: Trial) -> Iterator[None]:
        yield

    return lever(work)


def both(first: Lever, second: Lever) -> Lever:
    """Two at once."""

    @asynccontextmanager
    async def work(trial: Trial) -> AsyncIterator[None]:
        async with first(trial), second(trial):
            yield

    return work


def once(trial: Trial, state: State, act: Callable[[], None]) -> Callable[[State], None]:
    """For ``Trial.on_enter``: do it when a state is entered first."""
    trial.unmet.add(state)

    def entered(now: State) -> None:
        if now is state and state in trial.unmet:
            trial.unmet.discard(state)
            act()

    return entered


def switched(**switches: object) -> Lever:
    """Switches of ``Faults``, on while it is in force."""

    def work(trial: Trial) -> Iterator[None]:
        before = {name: getattr(trial.node.faults, name) for name in switches}
        for name, value in switches.items():
            setattr(trial.node.faults, name, value)
        yield
        for name, value in before.items():
            setattr(trial.node.faults, name, value)

    return lever(work)


def at_step(*faults: AtStep) -> Lever:
    """Something goes wrong in the steps of transactions, once each."""

    def work(trial: Trial) -> Iterator[None]:
        trial.node.faults.at += faults
        yield

    return lever(work)


def at_finalize(fault: AtStep) -> Lever:
    """Something goes wrong while the staged deployment is finalized, once."""

    def work(trial: Trial) -> Iterator[None]:
        trial.on_enter = once(trial, State.REBOOTING, lambda: trial.node.faults.at.append(fault))
        yield

    return lever(work)


def twisted(twist: Twist) -> Lever:
    """rpm-ostree does something else than what was asked, once."""

    def work(trial: Trial) -> Iterator[None]:
        trial.node.faults.twists.append(twist)
        yield

    return lever(work)


def bad_manners(manner: Manner) -> Lever:
    """Transaction sockets treat whoever connects like this."""
    return switched(manner=manner)


def clock_off(seconds: float, state: State) -> Lever:
    """The clock jumps when a state is entered first, and stays there."""

    def work(trial: Trial) -> Iterator[None]:
        trial.on_enter = once(trial, state, lambda: setattr(trial, "clock", seconds))
        yield

    return lever(work)


def power_cut(state: State) -> Lever:
    """The power fails when a state is entered first."""

    def work(trial: Trial) -> Iterator[None]:
        trial.on_enter = once(trial, state, lambda: trial.later(trial.power_cut))
        yield

    return lever(work)


@asynccontextmanager
async def boot_counting_gave_up(trial: Trial) -> AsyncIterator[None]:
    """The target is written, and the boot loader counted down to the old deployment."""
    block = trial.node.root / "boot/grub2/grubenv"
    block.parent.mkdir(parents=True, exist_ok=True)
    block.write_text("# GRUB Environment Block\nboot_counter=-1\n")
    trial.node.faults.falls_back = True
    yield


@asynccontextmanager
async def boot_order_turned(trial: Trial) -> AsyncIterator[None]:
    """The target is written, and the old deployment is first again when the node comes up, as after a rollback."""
    node = trial.node
    told, node.faults.falls_back = node._on_event, True

    def heard(event: Event) -> None:
        told(event)
        if isinstance(event, Rebooted):
            system = node.rpm_ostree.system
            turned = sorted(system.deployments, key=lambda each: not each.booted)
            node.rpm_ostree.system = replace(system, deployments=tuple(turned))

    node._on_event = heard
    yield


def boots_later(choose: Callable[[Deployment, Deployment], tuple[Deployment, ...]]) -> Lever:
    """Once the target was verified the node reboots, and comes up with what ``choose`` makes of target and original."""

    def work(trial: Trial) -> Iterator[None]:
        def chosen(system: System, *, finalize: bool) -> System:
            target, original, *others = reboot(system, finalize=finalize).deployments
            target, original = replace(target, booted=False), replace(original, booted=True)
            return replace(system, deployments=(*choose(target, original), *others))

        async def act() -> None:
            trial.cuts += 1
            with patch.object(simulated, "reboot", chosen):
                await trial.node.reboot()

        trial.on_enter = once(trial, State.STEADY, lambda: trial.later(act))
        yield

    return lever(work)


def rolled_back(target: Deployment, original: Deployment) -> tuple[Deployment, ...]:
    """As a health check does that fails after a while, or a person."""
    return original, target


def old_entry_chosen(target: Deployment, original: Deployment) -> tuple[Deployment, ...]:
    """In the boot menu, for once."""
    return target, original


def made_anew(target: Deployment, original: Deployment) -> tuple[Deployment, ...]:
    """The original as a deployment that was not there before, as ``rpm-ostree reset`` makes one."""
    return replace(original, serial=original.serial + 1), target


def rolled_back_and_cleaned_up(_target: Deployment, original: Deployment) -> tuple[Deployment, ...]:
    """As somebody does who wants the room, or a machine-config-daemon."""
    return (original,)


def rollback_typed() -> Lever:
    """An administrator types ``rpm-ostree rollback`` once the target was verified, and reboots later."""

    def work(trial: Trial) -> Iterator[None]:
        async def act() -> None:
            trial.cuts += 1
            await admin_rolls_back(trial.node)
            await trial.wait_for(State.HELD, Code.ROLLED_BACK)
            await trial.node.reboot()

        trial.on_enter = once(trial, State.STEADY, lambda: trial.later(act))
        yield

    return lever(work)
