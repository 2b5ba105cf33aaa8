"""What is written first for such a daemon, as a process to measure beside ours.

dbus-next's own connection, PyYAML, a logger, and prometheus-client's own server. It prints ``ready`` and waits.
"""

import argparse
import asyncio
import logging
import os

import yaml
from dbus_next.aio import MessageBus
from prometheus_client import Gauge, start_http_server


async def serve() -> None:
    argparse.ArgumentParser().parse_args()
    logging.basicConfig(level=logging.INFO)
    state = Gauge("state", "of the node")
    yaml.safe_load("kernelType: default")
    start_http_server(0, addr="127.0.0.1")
    await MessageBus(bus_address=os.environ["DBUS_SYSTEM_BUS_ADDRESS"]).connect()
    state.set(1)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
