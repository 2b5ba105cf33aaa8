"""What an agent and its worker say about a lock server; see ``frames.py`` for the whole of the protocol."""

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.frozen import frozen

_MOST = 3_600_000


@frozen
class LockRequest:
    """Take, or give back, the slot of the client ``client`` in a ``group`` at the FleetLock server ``url``.

    ``ca`` is a file of certificates that vouch for it, ``patience_ms`` how long it may take to answer.
    """

    url: str
    group: str
    client: str
    take: bool
    ca: str
    patience_ms: int


@frozen
class LockFrame:
    """The server said yes, or no: then ``said`` is why."""

    granted: bool
    said: str = ""


def lock_request_fields(request: LockRequest) -> JsonObject:
    """The request as JSON."""
    return {
        "op": "lock",
        "url": request.url,
        "group": request.group,
        "client": request.client,
        "take": request.take,
        "ca": request.ca,
        "patience_ms": request.patience_ms,
    }


def lock_request_of(request: JsonObject) -> LockRequest:
    """Raises ``ValueError`` for anything else."""
    return LockRequest(
        fields.text(request, "url", most=4096),
        fields.text(request, "group"),
        fields.text(request, "client"),
        fields.boolean(request, "take"),
        fields.text(request, "ca", most=4096),
        fields.integer(request, "patience_ms", most=_MOST),
    )


def lock_fields(frame: LockFrame) -> JsonObject:
    """The frame as JSON."""
    return {"granted": frame.granted, "said": fields.printable(frame.said, 512)}


def lock_of(frame: JsonObject) -> LockFrame:
    """Raises ``ValueError`` for anything else."""
    return LockFrame(fields.boolean(frame, "granted"), fields.text(frame, "said"))
