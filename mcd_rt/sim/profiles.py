"""How versions of rpm-ostree differ, each difference a named field.

Sources: ``reference/rpm-ostree-dbus.md`` (section in brackets) and the recordings of 2020.8.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Profile:
    """One version of rpm-ostree and of the host around it."""

    version: str
    argument_errors_answer: bool
    """Argument checks answer the call itself; since v2021.9 the transaction fails instead [2]."""
    busy_code: int
    """GIO error number of "Transaction in progress": 0 before v2021.4, then 26 [2, Busy]."""
    busy_hint: str
    """What follows the title in that answer [2, Busy]."""
    title_before_start: str
    """Title until ``Start``: recorded "(null)" (peer/f-never-started); v2024.9 "new-deployment" [3]."""
    abstract_address: bool
    """Transactions listen at an abstract name until v2023.1, then at a path [3]."""
    container_origins: bool
    """Bases are container images since v2021.7, before that commits with a ``pivot://`` origin [1]."""
    already_layered: str
    """What names the RPM in "is already layered": the NEVRA, with the digest since the rust port [2]."""
    unstarted_wedges: bool
    """A transaction whose client left before ``Start`` blocks until a restart; fixed in v2021.7 [3]."""
    restage_keeps_lock: bool
    """Measured on 2020.8; a newer libostree is said to drop it, so the harsher rule for 2024.9."""
    several_kernels: str
    """More than one kernel below /usr/lib/modules: recorded on 2020.8 (25); v2024.9 from [4]."""
    arguments_if_missing: bool
    """``KernelArgs`` knows append-if-missing and delete-if-present since v2021.5 [2]."""
    finalize_is_strict: bool
    """Refuses an unlocked deployment and honours inhibitors first: source of 2024.9, last section."""
    reboot_ends_transactions: bool
    """After a reboot request no transaction is begun, since v2021.6 [2, Busy]."""
    file_overrides: bool
    """Deployments list requested-local-fileoverride-packages since v2021.13 [1]."""
    layering_lock: bool
    """``LockLayering`` in rpm-ostreed.conf is heeded since v2023.2 [2]."""
    reboot_flags: bool
    """logind has ``RebootWithFlags``: RHEL 9 and later, not RHEL 8's 239 [5]."""


_RECORDED = Profile(
    version="2020.8",
    argument_errors_answer=True,
    busy_code=0,
    busy_hint="",
    title_before_start="(null)",
    abstract_address=True,
    container_origins=False,
    already_layered="{nevra}",
    unstarted_wedges=True,
    restage_keeps_lock=True,
    several_kernels="Multiple subdirectories found in: usr/lib/modules",
    arguments_if_missing=False,
    finalize_is_strict=False,
    reboot_ends_transactions=False,
    file_overrides=False,
    layering_lock=False,
    reboot_flags=False,
)

# RHCOS 4.4: nothing that a client can see is known to differ from 2020.8 but the number.
_OLDEST = replace(_RECORDED, version="2019.6")

_CURRENT = Profile(
    version="2024.9",
    argument_errors_answer=False,
    busy_code=26,
    busy_hint="\n You can cancel the current transaction with `rpm-ostree cancel`",
    title_before_start="new-deployment",
    abstract_address=False,
    container_origins=True,
    already_layered="{sha256}:{nevra}",
    unstarted_wedges=False,
    restage_keeps_lock=False,
    several_kernels="Multiple kernels (vmlinuz) found in: usr/lib/modules",
    arguments_if_missing=True,
    finalize_is_strict=True,
    reboot_ends_transactions=True,
    file_overrides=True,
    layering_lock=True,
    reboot_flags=True,
)

PROFILES = {profile.version: profile for profile in (_OLDEST, _RECORDED, _CURRENT)}

DEFAULT = "2024.9"
"""What a fleet of today runs (RHCOS 4.16 and later): container origins, and the harsher rules."""
