"""Where the agent runs: off the CPUs that the kernel command line sets apart for others.

The kernel moves the first process, and with it all others, off ``isolcpus``, but not off ``nohz_full``; systemd's
``CPUAffinity`` is inherited and only ever narrowed here. What the agent starts inherits it, and a worker that is a
unit of its own follows whoever asks it (``content/quiet.py``).
"""

import logging
import os

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.cpus import housekeeping_cpus
from mcd_rt.observed.host import read_running_arguments

LOG = logging.getLogger("mcd_rt")


def leave_isolated_cpus(effects: Effects, paths: HostPaths) -> None:
    """Keep this process, and what it will start, to the housekeeping CPUs; call it before there are threads.

    Where this cannot be it is logged, and nothing else is different.
    """
    allowed = frozenset(os.sched_getaffinity(0))
    try:
        arguments = read_running_arguments(paths)
    except AgentError as error:  # the pass reads it again, and says so where it matters
        LOG.warning("cannot tell which CPUs are isolated: %s", error.failure)
        return
    kept = housekeeping_cpus(arguments, allowed, os.cpu_count() or 1)
    if kept == allowed:
        return
    try:
        effects.keep_to_cpus(kept)
    except OSError as error:
        LOG.warning("cannot leave the isolated CPUs: %s", error.strerror)
    else:
        LOG.info("keeps to the CPUs %s: the kernel command line sets others apart", ", ".join(map(str, sorted(kept))))
