"""``mcd-rt run``: the service."""

import asyncio
import signal
from contextlib import suppress
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
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve())
    return 0


async def _serve() -> None:
    serving = asyncio.current_task()
    assert serving is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    context = make_context()
    leave_isolated_cpus(context.effects, context.paths)
    service = Service(context)
    loop.add_signal_handler(signal.SIGHUP, service.reload)
    await service.run()
