"""The runner of hooks: one call on a stream socket, answered by running them. Plain synchronous code.

On a host it is ``mcd-rt-hooks@.service``, root behind a socket that only the agent's user may connect to; elsewhere a
child of the agent, with the agent's own rights.
"""

import os
import socket
import time

from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hooks.descendants import adopt_orphans
from mcd_rt.hooks.find import find_hooks
from mcd_rt.hooks.protocol import LINE, Answer, Begun, Done, Facts, Failed, Occasion, Said, decode_call
from mcd_rt.hooks.protocol import encode_answer as encoded
from mcd_rt.hooks.run import Bounds, Ended, run_hook
from mcd_rt.hostpaths import HostPaths

_GRACE = 10.0
_PATIENCE = 60.0


def serve_standard_input(paths: HostPaths) -> int:
    """Serve the socket that is standard input; returns the exit status: 1 where nobody waited for the end.

    What a library prints to standard output, the same socket, goes to standard error instead.
    """
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(2, 1)
    with connection:
        return serve(connection, paths)


def serve(connection: socket.socket, paths: HostPaths) -> int:
    """Answer one call on a connected stream socket."""
    connection.settimeout(_PATIENCE)
    adopt_orphans()
    try:
        _send(connection, _answer(connection, paths))
    except OSError:  # nobody reads it
        return 1
    return 0


def environment_of(occasion: Occasion, facts: Facts) -> dict[str, str]:
    """The whole environment of a hook: nothing of the runner's own is in it."""
    told = {
        "OCCASION": occasion.value,
        "TARGET": facts.target,
        "KERNEL_TYPE": facts.kernel_type,
        "RUNNING_KERNEL": facts.running,
        "DEPLOYMENT": facts.deployment,
        "CONFIG": facts.config,
        "REASON": facts.reason,
    }
    own = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
    return own | {f"MCD_RT_{name}": value for name, value in told.items()}


def _answer(connection: socket.socket, paths: HostPaths) -> Done | Failed:
    try:
        call = decode_call(_read_line(connection))
    except ValueError as error:
        hint = "agent and hook runner are of one version where `systemctl restart mcd-rt` was done after an update"
        return Failed(Failure(Code.HOOK_REFUSED, f"what was asked for is no call of hooks: {error}", hint))
    try:
        hooks = find_hooks(paths, call.occasion)
        for hook in hooks:
            _send(connection, Begun(hook.name))
            bounds = Bounds(call.timeout, min(_GRACE, call.timeout), connection.fileno())
            ended = run_hook(
                hook,
                environment_of(call.occasion, call.facts),
                bounds,
                time.monotonic,  # noqa: TID251 - the runner is the far side of Effects
                lambda line, name=hook.name: _send(connection, Said(name, line)),  # type: ignore[misc] # bound now
            )
            _raise_unless_well(str(hook), ended)
    except AgentError as error:
        return Failed(error.failure)
    return Done(len(hooks))


def _raise_unless_well(hook: str, ended: Ended) -> None:
    last = f"; its last line: {ended.last_line[:200]}" if ended.last_line else ""
    if ended.given_up:
        message = f"{hook}: {ended.given_up}, and was ended{last}"
        raise AgentError(Code.HOOK_TIMEOUT, message, "hooks.timeout says how long one may take")
    if ended.status:
        how = f"ended with status {ended.status}" if ended.status > 0 else f"was killed by signal {-ended.status}"
        raise AgentError(Code.HOOK_FAILED, f"{hook} {how}{last}", "`journalctl -u mcd-rt` has what it said")


def _read_line(connection: socket.socket) -> bytes:
    line = bytearray()
    while len(line) < LINE and not line.endswith(b"\n") and (piece := connection.recv(LINE)):
        line += piece
    return bytes(line)


def _send(connection: socket.socket, answer: Answer) -> None:
    connection.sendall(encoded(answer))
