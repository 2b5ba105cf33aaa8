"""What is known of how the previous boot ended."""

from mcd_rt.frozen import frozen


@frozen
class Evidence:
    """What the previous boot left behind.

    ``finalizer`` is what the service that finalizes said then, ``None`` where no journal tells. ``boot_counted``:
    boot counting gave up on an entry and fell back to another.
    """

    finalizer: tuple[str, ...] | None = None
    boot_counted: bool = False
