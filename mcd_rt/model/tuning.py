"""Tuned profiles, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """A tuned profile; ``automatic`` where tuned chose it itself. No name: tuned is switched off."""

    name: str
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Switched:
    """What we did to tuned: ``profile`` in the place of ``before``; not ``done`` where its end was not heard.

    Both are the same profile where it was active already: then there is nothing to put back.
    """

    profile: str
    before: Profile
    done: bool
