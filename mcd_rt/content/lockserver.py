"""A client of FleetLock servers: one question, asked by curl, so that TLS is the host's.

Source: the FleetLock protocol of Zincati, spoken by Airlock: a POST with the header ``fleet-lock-protocol: true`` to
``/v1/pre-reboot`` or ``/v1/steady-state`` below the address; 200 is yes, anything else no, with ``kind`` and ``value``
in a JSON object where the server itself says it. Both questions may be asked again and again.
"""

import json
import os
import socket

from mcd_rt.content import fields
from mcd_rt.content.line import send_frame
from mcd_rt.content.lockwords import LockFrame, LockRequest
from mcd_rt.content.programs import Ended, run_program
from mcd_rt.errors import AgentError, Code

_MOST = 64 * 1024
_GRACE = 5.0
_REFUSALS = (409, 423, 429, 500)
"""What servers that say it without a JSON object mean by a full group: Airlock answers 500."""
_GATEWAYS = (502, 503, 504)
_NO_ANSWER = "is it there? reboot.fleet_lock.url and reboot.fleet_lock.ca say where, and who vouches for it"
_NO_SERVER = "reboot.fleet_lock.url must be the address of a FleetLock server, without /v1"


def answer_lock(connection: socket.socket, request: LockRequest) -> None:
    """Ask, and send the answer; raises ``AgentError``: ``lock-unreachable``, ``lock-protocol``, ``worker-failed``."""
    send_frame(connection, ask_lock_server(request))


def ask_lock_server(request: LockRequest) -> LockFrame:
    """See ``answer_lock``."""
    ended = _run_curl(request)
    if ended.status != 0:
        raise _unreachable(request, fields.printable(ended.complaint.strip(), 300) or f"curl ended with {ended.status}")
    body, _, last = ended.output.rpartition(b"\n")
    status, _, kind = last.decode(errors="replace").partition(" ")
    return _judged(request, int(status) if status.isdigit() else 0, kind, body)


def _run_curl(request: LockRequest) -> Ended:
    seconds = request.patience_ms / 1000
    try:
        return run_program(
            _command(request, seconds),
            {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "LC_ALL": "C"},
            patience=seconds + _GRACE,
            most=_MOST,
        )
    except AgentError as error:
        if error.failure.code is Code.WORKER_FAILED:
            raise
        if error.failure.code is Code.IMAGE_TOO_LARGE:
            raise _no_server(request, f"answers more than {_MOST} bytes") from error
        raise _unreachable(request, f"nothing for {seconds:g} s") from error


def _command(request: LockRequest, seconds: float) -> tuple[str, ...]:
    body = {"client_params": {"id": request.client, "group": request.group}}
    endpoint = "pre-reboot" if request.take else "steady-state"
    return (
        *("curl", "--disable", "--silent", "--show-error", "--globoff", "--noproxy", "*", "--http1.1"),
        *("--proto", "=https" if request.url.startswith("https:") else "=http", "--max-time", f"{seconds:.3f}"),
        *("--header", "fleet-lock-protocol: true", "--header", "Content-Type: application/json"),
        *(("--cacert", request.ca) if request.ca else ()),
        *("--data-raw", json.dumps(body), "--write-out", "\\n%{http_code} %{content_type}"),
        *("--url", f"{request.url.rstrip('/')}/v1/{endpoint}"),
    )


def _judged(request: LockRequest, status: int, kind: str, body: bytes) -> LockFrame:
    if status == 200:
        if "html" in kind:
            raise _no_server(request, "answers with a web page")
        return LockFrame(granted=True)
    said = _said(body)
    if said or status in _REFUSALS:
        return LockFrame(granted=False, said=said or fields.printable(body.decode(errors="replace").strip(), 300))
    if status in _GATEWAYS:
        raise _unreachable(request, f"what stands before it answers {status}")
    raise _no_server(request, f"answers {status}" if status else "answers something that is not HTTP")


def _said(body: bytes) -> str:
    """What the server itself says of its no, empty where it does not."""
    try:
        error = fields.parse_object(body)
        kind, value = fields.text(error, "kind"), fields.text(error, "value")
    except ValueError:
        return ""
    return f"{value} ({kind})"


def _unreachable(request: LockRequest, what: str) -> AgentError:
    return AgentError(Code.LOCK_UNREACHABLE, f"the lock server {request.url} does not answer: {what}", _NO_ANSWER)


def _no_server(request: LockRequest, what: str) -> AgentError:
    return AgentError(Code.LOCK_PROTOCOL, f"{request.url} {what}, as no lock server does", _NO_SERVER)
