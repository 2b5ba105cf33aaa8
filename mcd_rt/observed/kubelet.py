"""Whether a kubelet runs workloads on this node: by its unit, or by what it was given to join a cluster.

Its pull secret alone, ``/var/lib/kubelet/config.json``, proves nothing: hosts without a kubelet have one too, because
that is where tools look.
"""

from mcd_rt.hostpaths import HostPaths

PROOFS = (
    "/etc/systemd/system/kubelet.service",
    "/usr/lib/systemd/system/kubelet.service",
    "/var/lib/kubelet/kubeconfig",
    "/etc/kubernetes/kubelet.conf",
)
"""One of them is enough."""


def find_kubelet(paths: HostPaths) -> str:
    """The first file that shows it, as a path of the host; empty where none does.

    A place that may not be looked into is one that only a kubelet has.
    """
    return next((place for place in PROOFS if _may_be_there(paths, place)), "")


def _may_be_there(paths: HostPaths, place: str) -> bool:
    try:
        paths.below(place).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
