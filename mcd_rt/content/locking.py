"""The agent's side of a lock: asked of the server by way of the worker that has the network."""

from collections.abc import Sequence

from mcd_rt.content.conversation import conversation
from mcd_rt.content.errand import WORKER_ARGV, worker_for
from mcd_rt.content.frames import DoneFrame
from mcd_rt.content.lockwords import LockFrame, LockRequest
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.fileidentity import is_file
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.record import Lock
from mcd_rt.model.settings import Settings

_GRACE = 10.0
_TRUSTED = "/etc/pki/tls/certs/ca-bundle.crt"


async def ask_for_lock(
    effects: Effects,
    settings: Settings,
    paths: HostPaths,
    lock: Lock,
    *,
    take: bool,
    worker_argv: Sequence[str] = WORKER_ARGV,
) -> Failure | None:
    """Take a slot, or give it back: ``None`` where the server says yes, else why not.

    The codes are ``lock-refused``, ``lock-unreachable``, ``lock-protocol``, ``worker-failed``, ``worker-timeout``.
    """
    fleet = settings.reboot.fleet_lock
    ca = paths.below(fleet.ca or _TRUSTED)
    certificates = str(ca) if fleet.ca or is_file(ca) else ""
    request = LockRequest(lock.url, lock.group, lock.id, take, certificates, max(1, int(fleet.timeout * 1000)))
    worker = worker_for("fetch", settings.content, paths, worker_argv)
    try:
        async with conversation(effects, worker, fleet.timeout + _GRACE) as talk:
            await talk.send(request)
            answer = await talk.receive()
            if not isinstance(answer, LockFrame) or not isinstance(await talk.receive(), DoneFrame):
                raise AgentError(Code.WORKER_FAILED, "the worker did not say what the lock server answered")
    except AgentError as error:
        return error.failure
    if answer.granted:
        return None
    reason = f"{lock.url} has no slot in the group {lock.group} for {lock.id}: {answer.said or 'it does not say why'}"
    return Failure(Code.LOCK_REFUSED, reason, "other nodes reboot now, or one that failed keeps its slot")
