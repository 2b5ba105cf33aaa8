"""Whom the agent calls for a reboot: a hook that drains the node, a lock server, others who watch for a file.

Each knows what it must never see; what it saw all the same is a problem of the bench.
"""

from collections.abc import Callable

import mcd_rt.fleet
from mcd_rt.effects import Child
from mcd_rt.errors import AgentError, Failure
from mcd_rt.hooks.protocol import Begun, Done, encode_answer
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.record import Phase, Record
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from tests.reliability.forked import tell
from tests.reliability.scenarios import SENTINEL, Help

_HOOK = "50-drain"
_ask = mcd_rt.fleet.ask_for_lock


class Helpers:
    """Of one node; ``has_slot`` outlives its boots, ``is_drained`` does not. ``on_problem`` is told once of each."""

    def __init__(self, paths: HostPaths, on_problem: Callable[[str], None]) -> None:
        self._paths = paths
        self._tell = on_problem
        self._told: set[str] = set()
        self._help = Help.NONE
        self.is_drained = False
        self.has_slot = False

    def make(self, help_: Help, *, has_slot: bool = False) -> None:
        """Those of a scenario, as they are at the beginning."""
        self._told.clear()
        self._help, self.is_drained, self.has_slot = help_, False, has_slot
        mcd_rt.fleet.ask_for_lock = self._answer if help_ is Help.LOCK else _ask
        if help_ is Help.DRAIN:
            directory = self._paths.below("/etc/mcd-rt/pre-reboot.d")
            directory.mkdir(parents=True, exist_ok=True)
            (directory / _HOOK).touch(0o755)

    def run_hook(self) -> Child:
        """The runner: the node is drained by the time that it has said so."""
        self.is_drained = True
        return tell(encode_answer(Begun(_HOOK)) + encode_answer(Done(1)))

    def look(self) -> None:
        """After each effect: whoever sees the file may reboot the node from then on."""
        if self._help is Help.SENTINEL and self._paths.below(SENTINEL).exists() and not self._record().reboots:
            self._problem("others are asked for a reboot that is not in the record")

    def goes_down(self) -> None:
        """A reboot is about to be asked for."""
        if self._help is Help.DRAIN and not self.is_drained:
            self._problem("a reboot is asked for, and the node was not drained")
        if self._help is Help.LOCK and not self.has_slot:
            self._problem("a reboot is asked for without a slot")

    def rest(self, state: State | None) -> None:
        """The node has settled."""
        if self._help is Help.LOCK and state is State.STEADY and self.has_slot:
            self._problem("the slot is never given back")

    async def _answer(self, *_: object, take: bool) -> Failure | None:
        attempt = self._record().attempt
        if not take and self.has_slot and attempt is not None and attempt.phase is Phase.REBOOTING:
            self._problem("the slot is given back before the boot was verified")
        self.has_slot = take
        return None

    def _record(self) -> Record:
        try:
            return load_record(self._paths)
        except AgentError:  # told otherwise
            return Record()

    def _problem(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(what)
