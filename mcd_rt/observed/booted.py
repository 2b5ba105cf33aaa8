"""Which deployment runs, told by files alone: the kernel was given a link to it."""

from mcd_rt.hostpaths import HostPaths

_ARGUMENT = "ostree="


def booted_deployment(paths: HostPaths, kernel_arguments: tuple[str, ...]) -> str:
    """Its id, ``<stateroot>-<checksum>.<serial>``; empty where that cannot be seen.

    ``ostree=/ostree/boot.<n>/<stateroot>/<boot checksum>/<number>`` is a link to its directory (ostree-prepare-root).
    """
    link = next((word.removeprefix(_ARGUMENT) for word in kernel_arguments if word.startswith(_ARGUMENT)), "")
    parts = link.split("/")
    if len(parts) < 3:
        return ""
    try:
        return f"{parts[-3]}-{paths.below(link).readlink().name}"
    except OSError:
        return ""
