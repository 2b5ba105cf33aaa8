"""The troubles of a scenario, made on its simulated node."""

import asyncio
from dataclasses import replace

from mcd_rt.dbus.names import LOGIN_MANAGER, OS
from mcd_rt.dbus.wire import Message
from mcd_rt.sim.faults import Twist
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.service import FAILED, CallError, Handler, Reply
from tests.reliability.scenarios import Trouble

TWIN_TAKES = 2.5
"""Seconds; the deadline of who would take it for its own is shorter."""

_LIST = f"{LOGIN_MANAGER}.ListInhibitors"
_UPDATE = f"{OS}.UpdateDeployment"


class Troubles:
    """The levers of one node, and how they stand where nothing is wrong."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._logind, self._daemon = node.logind.service._handlers, node.rpm_ostree._service._handlers
        self._list, self._update = self._logind[_LIST], self._daemon[_UPDATE]

    def make(self, trouble: Trouble) -> None:
        """Make this trouble, and none of before."""
        faults = self._node.faults
        faults.at.clear()
        faults.twists[:] = [Twist.INCOMPLETE] if trouble is Trouble.LESS_STAGED else []
        faults.finalize_fails = trouble is Trouble.NEVER_FINALIZED
        faults.inhibitor = "a backup" if trouble is Trouble.INHIBITED else ""
        self._logind[_LIST] = _refuse if trouble is Trouble.LOGIND_SILENT else self._list
        self._daemon[_UPDATE] = self._with_twin() if trouble is Trouble.TWIN else self._update

    def _with_twin(self) -> Handler:
        met = []

        async def answer(call: Message) -> Reply:
            if not met:
                met.append(call)
                _begin_twin(self._node, call)
            return await self._update(call)

        return answer


async def _refuse(_call: Message) -> Reply:
    raise CallError(FAILED, "no list")


def _begin_twin(node: SimulatedNode, call: Message) -> None:
    """Another client's transaction, which rpm-ostree takes for the same: it compares what was called with what."""
    hold = node.rpm_ostree.begin_foreign("the same")
    theirs = node.rpm_ostree.transaction
    assert theirs is not None
    theirs.caller = replace(theirs.caller, method=call.member, parameters=repr(call.body))
    asyncio.get_running_loop().call_later(TWIN_TAKES, hold.release.set)
