"""Whether a machine-config-daemon manages this node too: by its files, for it runs as a pod.

Source: ``reference/machine-config-daemon.md`` 2.4. ``currentconfig`` alone proves nothing: it is also how a node that
is in no cluster is told what to run.
"""

from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths

PROOFS = (
    "/etc/machine-config-daemon/node-annotations.json",
    "/etc/machine-config-daemon/node-annotation.json.bak",
    "/etc/machine-config-daemon/currentimage",
    "/etc/machine-config-daemon/bootstrapconfigdiff",
    "/etc/machine-config-daemon/orig",
    "/etc/machine-config-daemon/noorig",
    "/etc/ignition-machine-config-encapsulated.json",
    "/etc/ignition-machine-config-encapsulated.json.bak",
    "/etc/mcs-machine-config-content.json",
    "/etc/mcd-currentconfig.json",
)
"""What only a machine-config-daemon or -server writes; one of them is enough."""


def find_mcd(paths: HostPaths) -> str:
    """The first file that proves it, as a path of the host; empty where none is there.

    Raises ``AgentError`` (``host-unreadable``): a place that cannot be looked at is not an empty one.
    """
    return next((place for place in PROOFS if _is_there(paths, place)), "")


def _is_there(paths: HostPaths, place: str) -> bool:
    path = paths.below(place)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        hint = "whether a machine-config-daemon manages the kernel must be known; run the agent as root"
        raise AgentError(Code.HOST_UNREADABLE, f"cannot look for {path}: {error.strerror}", hint) from error
    return True
