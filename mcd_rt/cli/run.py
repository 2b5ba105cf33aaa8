"""``mcd-rt run``: the service."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mcd_rt.act.placement import leave_isolated_cpus
from mcd_rt.cli.context import make_context, start_logging
from mcd_rt.service import Service

if TYPE_CHECKING:
    import argparse


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "run",
        help="the service: keep this node on the kernel its config asks for",
        description="Runs until it is stopped; systemd starts it as mcd-rt.service. There is one agent on a node. "
        "SIGHUP: reads the settings again.",
    )
    parser.set_defaults(run=lambda _: serve())


def serve() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    start_logging()
    with suppress(asyncio.CancelledError, KeyboardInterrupt):  # the latter is what asyncio makes of Ctrl-C in the end
        asyncio.run(_serve())
    return 0


async def _serve() -> None:
    serving = asyncio.current_task()
    assert serving is not None
    loop = asyncio.get_running_loop()
    with _waking(loop):
        _hear(loop, signal.SIGTERM, serving.cancel)
        context = make_context()
        leave_isolated_cpus(context.effects, context.paths)
        service = Service(context)
        _hear(loop, signal.SIGHUP, service.reload)
        await service.run()


def _hear(loop: asyncio.AbstractEventLoop, number: signal.Signals, act: Callable[[], object]) -> None:
    """As ``loop.add_signal_handler``, which would load a megabyte to see that this is no coroutine."""

    def heard(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(act)

    signal.signal(number, heard)


@contextmanager
def _waking(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Every signal ends the loop's wait, also one that comes right before it begins; then Python runs its handler."""
    hearing, told = socket.socketpair()
    with hearing, told:
        for end in (hearing, told):
            end.setblocking(False)  # noqa: FBT003 - the name says it
        loop.add_reader(hearing, hearing.recv, 4096)
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(hearing)
