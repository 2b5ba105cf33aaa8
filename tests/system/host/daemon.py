"""rpm-ostreed of the test host: the simulator on the real system bus, real polkit, real libostree, a real reboot."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from mcd_rt.dbus.bus import bus_address
from mcd_rt.dbus.connection import RemoteError
from mcd_rt.dbus.names import BUS, OS, SYSROOT, SYSROOT_PATH
from mcd_rt.dbus.wire import Message, plain
from mcd_rt.report.notify import notify
from mcd_rt.sim.faults import Faults
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.rpmostree import Consequences, Finished, RpmOstree
from mcd_rt.sim.service import CallError, Handler, Reply
from mcd_rt.watch import Watch
from tests.system.host import disk
from tests.system.host.polkit import actions_of, as_glib_passes_it_on, is_allowed

SETTINGS = Path("/etc/simulated-rpm-ostreed")
"""``PACE VERSION``: seconds a step takes, and which rpm-ostree this is."""


def guarded(daemon: RpmOstree, handler: Handler) -> Handler:
    """Ask polkit before each call, as the genuine one does in the daemon (the bus lets everybody through)."""

    async def answer(call: Message) -> Reply:
        for action in actions_of(call):
            try:
                allowed = await is_allowed(daemon._service, call.sender, action)
            except RemoteError as error:
                raise as_glib_passes_it_on(error) from error
            if not allowed:
                kind = "OS" if call.interface == OS else "Sysroot"
                text = f"rpmostreed {kind} operation {call.member} not allowed for user"
                raise CallError(f"{BUS}.Error.AccessDenied", text)
        if import_os(call):
            daemon.system = disk.load()
        return await handler(call)

    return answer


def import_os(call: Message) -> bool:
    """Pull what is in the client's repository, if it sends one: before the transaction begins, and not in it."""
    modifiers = plain(call.body[0]) if call.member == "UpdateDeployment" else {}
    assert isinstance(modifiers, dict)
    handle = modifiers.get("ex-local-repo-remote")
    if not isinstance(handle, int):
        return False
    repository = call.descriptors[handle]
    pull = ["ostree", "--repo=/ostree/repo", "pull-local", f"/proc/self/fd/{repository}"]
    subprocess.run(pull, check=True, pass_fds=(repository,))
    return True


def told(ended: Finished) -> None:
    """What an operator finds in the journal of rpm-ostreed."""
    print(f"Txn {ended.method} on {ended.title}: {ended.error or 'successful'}", flush=True)


def reboot(_process: int) -> None:
    """As rpm-ostree does."""
    subprocess.run(["systemctl", "reboot", "--no-block"], check=False)  # the shutdown may end it first


def make_daemon() -> RpmOstree:
    """The daemon, not yet on the bus."""
    pace, version = SETTINGS.read_text().split()
    made: list[RpmOstree] = []

    def changed(system: disk.System) -> None:
        for_everybody = os.umask(0o022)
        try:
            made[0].system = disk.store(system)
        finally:
            os.umask(for_everybody)

    daemon = RpmOstree(disk.load(), PROFILES[version], Faults(), Consequences(changed, told, reboot))
    daemon.pace = float(pace)
    service = daemon._service
    service._handlers = {name: guarded(daemon, handler) for name, handler in service._handlers.items()}
    made.append(daemon)
    return daemon


def follow_disk(daemon: RpmOstree) -> Callable[[], None]:
    """What to do when somebody else (``ostree admin``) changed the deployments."""

    def look() -> None:
        found = disk.load()
        if found != daemon.system:
            daemon.system = found
            daemon._service.changed(SYSROOT_PATH, SYSROOT)

    return look


async def main(place: Path) -> None:
    """Serve until SIGTERM; transactions listen in ``place``."""
    daemon = make_daemon()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    watch = Watch([Path("/run/ostree/staged-deployment"), Path("/ostree/deploy")], follow_disk(daemon))
    await daemon.start(bus_address(), place)
    notify("READY=1")
    await ended.wait()
    watch.close()
    await daemon.stop()


if __name__ == "__main__":
    os.umask(0)  # its transaction sockets are for everybody, as the genuine one's
    transactions = Path("/run/simulated-rpm-ostree")
    transactions.mkdir(exist_ok=True)
    asyncio.run(main(transactions))
