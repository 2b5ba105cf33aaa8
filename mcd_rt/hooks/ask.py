"""The agent's side of hooks: have those of an occasion run, log what they say, tell what went wrong."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from mcd_rt.content.errand import child_environment
from mcd_rt.effects import Child, Effects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.hooks.find import has_hooks
from mcd_rt.hooks.protocol import LINE, Answer, Begun, Call, Done, Facts, Failed, Occasion, Said
from mcd_rt.hooks.protocol import decode_answer as decoded
from mcd_rt.hooks.protocol import encode_call as encoded
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import HooksSettings

LOG = logging.getLogger("mcd_rt")

RUNNER_ARGV = (sys.executable, "-m", "mcd_rt", "hooks")
SOCKET = "/run/mcd-rt-hooks.sock"

_CONNECT_TIMEOUT = 30.0
_SLACK = 60.0
"""Seconds beyond a hook's own time for it to be ended, and for the runner to start."""


@frozen
class HookAccess:
    """How hooks are run on this host; ``on_begun`` is told the name of each as it starts."""

    effects: Effects
    paths: HostPaths
    settings: HooksSettings
    on_begun: Callable[[str], None] = lambda _hook: None


async def run_hooks(access: HookAccess, occasion: Occasion, facts: Facts) -> Failure | None:
    """Run the hooks of an occasion to their end; ``None`` where all succeeded, or there is none.

    A failure has the code ``hook-failed``, ``hook-timeout`` or ``hook-refused``, and the hooks after that one have not
    run. When this is cancelled, the hook is ended.
    """
    if not has_hooks(access.paths, occasion):
        return None
    call = Call(occasion, facts, access.settings.timeout)
    how = access.settings.run
    try:
        if how == "child" or (how == "auto" and not access.paths.below(SOCKET).is_socket()):
            return await _by_child(access, call)
        return await access.effects.mutate(f"hooks {occasion}", lambda: _by_unit(access, call))
    except AgentError as error:
        return error.failure


async def _by_unit(access: HookAccess, call: Call) -> Failure | None:
    return await _converse(await _connected(access.paths.below(SOCKET)), call, access.on_begun)


async def _by_child(access: HookAccess, call: Call) -> Failure | None:
    environment = child_environment(secrets=False) | {"MCD_RT_ROOT": str(access.paths.root)}
    try:
        child = await access.effects.spawn(RUNNER_ARGV, environment)
    except OSError as error:
        message = f"cannot start {RUNNER_ARGV[0]}: {error.strerror or error}"
        raise AgentError(Code.HOOK_FAILED, message, "repair the installation of mcd-rt") from error
    try:
        return await _converse(child.socket, call, access.on_begun)
    finally:
        await _reap(child)


async def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)  # noqa: FBT003 - the name says it
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            await asyncio.get_running_loop().sock_connect(connection, str(path))
    except BaseException as error:
        connection.close()
        if not isinstance(error, OSError | TimeoutError):
            raise
        why = getattr(error, "strerror", None) or "no answer"
        hint = "`systemctl status mcd-rt-hooks.socket`"
        raise AgentError(Code.HOOK_FAILED, f"cannot reach the runner of hooks behind {path}: {why}", hint) from error
    return connection


async def _reap(child: Child) -> None:
    """Its socket is closed: it ends its hook, and itself; one that does not is killed, and its hook with it."""
    try:
        async with asyncio.timeout(_SLACK):
            await child.process.wait()
    except TimeoutError:
        child.process.kill()
        await child.process.wait()


async def _converse(connection: socket.socket, call: Call, on_begun: Callable[[str], None]) -> Failure | None:
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=LINE)
    try:
        writer.write(encoded(call))
        return await _hear(reader, call, on_begun)
    finally:
        writer.close()
        with contextlib.suppress(OSError):  # the other side has gone first
            await writer.wait_closed()


async def _hear(reader: asyncio.StreamReader, call: Call, on_begun: Callable[[str], None]) -> Failure | None:
    while True:
        answer = await _next_answer(reader, call.timeout + _SLACK)
        match answer:
            case Begun(hook):
                LOG.info("%s hook %s", call.occasion, hook)
                on_begun(hook)
            case Said(hook, line):
                LOG.info("%s: %s", hook, line)
            case Done():
                return None
            case Failed(failure):
                return failure
            case _:
                assert_never(answer)


async def _next_answer(reader: asyncio.StreamReader, patience: float) -> Answer:
    hint = "its last words are in the journal"
    try:
        async with asyncio.timeout(patience):
            line = await reader.readline()
    except (OSError, ValueError) as error:
        raise AgentError(Code.HOOK_FAILED, f"the runner of hooks broke off: {error}", hint) from error
    except TimeoutError as error:
        message = f"the runner of hooks said nothing for {patience:g} s"
        raise AgentError(Code.HOOK_TIMEOUT, message, hint) from error
    if not line.endswith(b"\n"):
        raise AgentError(Code.HOOK_FAILED, "the runner of hooks ended before its hooks", hint)
    try:
        return decoded(line)
    except ValueError as error:
        raise AgentError(Code.HOOK_FAILED, f"the runner of hooks says what it must not: {error}", hint) from error
