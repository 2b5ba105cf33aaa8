"""The states of the agent: the only values of the state label and of ``mcd-rt status``."""

from enum import StrEnum, unique


@unique
class State(StrEnum):
    """What the agent is doing or waiting for."""

    STARTING = "starting"
    WAITING = "waiting"
    UNSUPPORTED = "unsupported"
    OBSERVING = "observing"
    STEADY = "steady"
    IGNORED = "ignored"
    FETCHING = "fetching"
    STAGING = "staging"
    STAGED = "staged"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    BLOCKED = "blocked"
    RETRYING = "retrying"
    HELD = "held"
