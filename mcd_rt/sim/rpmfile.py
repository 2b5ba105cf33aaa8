"""An RPM as rpm-ostree takes it from a descriptor.

The header comes from a fresh opening of ``/proc/self/fd``, the payload from the descriptor *at its current
offset*, which it moves, also for the sender (``reference/rpm-ostree-dbus.md`` 2, "Local RPMs"). No
signature is checked.
"""

import hashlib
import os

import rpm_rs

from mcd_rt.sim.faults import PAYLOAD_CORRUPT, PAYLOAD_UNRECOGNIZED
from mcd_rt.sim.world import Rpm

_LEAD = b"\xed\xab\xee\xdb"
_MODULES = "/lib/modules/"


def read_rpm(descriptor: int) -> Rpm | str:
    """What rpm-ostree would record of it, or the text it would fail with; the offset is at the end then."""
    with open(f"/proc/self/fd/{descriptor}", "rb") as fresh:  # noqa: PTH123 - a descriptor, not a place
        whole = fresh.read()
    with os.fdopen(os.dup(descriptor), "rb") as shared:
        rest = shared.read()
    if not rest.startswith(_LEAD):
        return PAYLOAD_UNRECOGNIZED.text
    try:
        package = rpm_rs.Package.from_bytes(whole)
    except (OSError, RuntimeError):  # what rpm_rs raises for short and for wrong bytes
        return PAYLOAD_UNRECOGNIZED.text
    try:
        package.verify_digests()
    except (OSError, RuntimeError):
        return PAYLOAD_CORRUPT.text
    paths = (path.removeprefix("/usr") for path in package.metadata.file_paths())
    releases = {path.removeprefix(_MODULES).split("/")[0] for path in paths if path.startswith(_MODULES)}
    header = bytes(package.metadata.header_bytes())
    nevra = str(package.metadata.nevra())
    return Rpm(_without_zero_epoch(nevra), hashlib.sha256(header).hexdigest(), next(iter(sorted(releases)), ""))


def _without_zero_epoch(nevra: str) -> str:
    return nevra.replace("-0:", "-", 1)
