"""Tuned profiles, as values."""

from mcd_rt.frozen import frozen


@frozen
class Profile:
    """A tuned profile; ``automatic`` where tuned chose it itself. No name: tuned is switched off."""

    name: str
    automatic: bool = False


@frozen
class Switched:
    """What we did to tuned: ``profile`` in the place of ``before``; not ``done`` where its end was not heard.

    Both are the same profile where it was active already: then there is nothing to put back.
    """

    profile: str
    before: Profile
    done: bool
