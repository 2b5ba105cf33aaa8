"""Effects for tests: real ones, recorded, that can fail or be the last thing a process does."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mcd_rt.effects import Child, Effects, HostEffects

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone: no effect happens from here on, whoever tries."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect: the name of the method, and the path, command or label it was about."""

    kind: str
    subject: str


class EffectsDouble:
    """An implementation of ``Effects`` around another one; ``attempted`` is what was asked of it, in order.

    Faults strike before their effect happens, so killing at n+1 is killing after n; a bus call may also fail after
    it was made, which is an answer that got lost. Clock and chance are passed through and not counted.
    """

    def __init__(
        self, real: Effects | None = None, on_attempt: Callable[[Effect], None] = lambda _effect: None
    ) -> None:
        self._real: Effects = HostEffects() if real is None else real
        self._faults: dict[tuple[str, int], BaseException] = {}
        self._kill_at: int | None = None
        self._any: dict[int, BaseException] = {}
        self._lost: dict[int, BaseException] = {}
        self._all: dict[tuple[str, str], BaseException] = {}
        self._paths: dict[int, Path] = {}
        self._counts: dict[str, int] = {}
        self._on_attempt = on_attempt
        self.attempted: list[Effect] = []

    def fail(self, kind: str, error: BaseException, *, nth: int = 1) -> None:
        """The nth effect of this kind (from 1) raises ``error``."""
        self._faults[kind, nth] = error

    def fail_any(self, nth: int, error: BaseException) -> None:
        """The nth effect of any kind (from 1) raises ``error``."""
        self._any[nth] = error

    def fail_all(self, effect: Effect, error: BaseException) -> None:
        """Every effect equal to this one raises ``error``."""
        self._all[effect.kind, effect.subject] = error

    def lose_answer(self, nth: int, error: BaseException) -> None:
        """The nth effect of any kind (from 1), which is a bus call, is made and raises ``error`` all the same.

        With ``Killed`` it is the last one.
        """
        self._lost[nth] = error

    def kill(self, nth: int) -> None:
        """The nth effect of any kind (from 1) and all that follow raise ``Killed``."""
        self._kill_at = nth

    def subjects(self, kind: str) -> list[str]:
        """What the effects of one kind were about."""
        return [effect.subject for effect in self.attempted if effect.kind == kind]

    def create(self, path: Path, mode: int) -> int:
        self._strike("create", path)
        descriptor = self._real.create(path, mode)
        self._paths[descriptor] = path
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        self._strike("write", self._paths[descriptor])
        self._real.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._strike("fsync", self._paths[descriptor])
        self._real.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._strike("rename", target)
        self._real.rename(source, target)

    def fsync_directory(self, path: Path) -> None:
        self._strike("fsync_directory", path)
        self._real.fsync_directory(path)

    def remove(self, path: Path) -> None:
        self._strike("remove", path)
        self._real.remove(path)

    def make_directory(self, path: Path, mode: int) -> None:
        self._strike("make_directory", path)
        self._real.make_directory(path, mode)

    def remove_directory(self, path: Path) -> None:
        self._strike("remove_directory", path)
        self._real.remove_directory(path)

    async def spawn(self, argv: Sequence[str], environment: dict[str, str], **more: bool) -> Child:
        self._strike("spawn", " ".join(argv))
        return await self._real.spawn(argv, environment, **more)

    async def mutate(self, label: str, call: Callable[[], Awaitable[T]]) -> T:
        self._strike("mutate", label)
        lost = self._lost.get(len(self.attempted))
        made = await self._real.mutate(label, call)
        if isinstance(lost, Killed):
            self._kill_at = 0
        if lost is not None:
            raise lost
        return made

    def now(self) -> float:
        return self._real.now()

    def monotonic(self) -> float:
        return self._real.monotonic()

    def chance(self) -> float:
        return self._real.chance()

    def sync_filesystem(self, path: Path) -> None:
        self._strike("sync_filesystem", path)
        self._real.sync_filesystem(path)

    def keep_to_cpus(self, cpus: frozenset[int]) -> None:
        self._strike("keep_to_cpus", " ".join(map(str, sorted(cpus))))
        self._real.keep_to_cpus(cpus)

    def _strike(self, kind: str, subject: os.PathLike[str] | str) -> None:
        self._on_attempt(Effect(kind, str(subject)))
        self.attempted.append(Effect(kind, str(subject)))
        if self._kill_at is not None and len(self.attempted) >= self._kill_at:
            raise Killed(f"killed before {self.attempted[-1]}")
        self._counts[kind] = self._counts.get(kind, 0) + 1
        error = (
            self._faults.get((kind, self._counts[kind]))
            or self._any.get(len(self.attempted))
            or self._all.get((kind, str(subject)))
        )
        if error is not None:
            raise error
