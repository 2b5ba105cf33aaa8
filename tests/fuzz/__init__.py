"""Fuzzing of everything that reads bytes others wrote; ``docs/threat-model.md`` says who those others are.

``python -m tests.fuzz`` runs it (``--help``); ``run`` is the same for the reliability runner.
"""


def run(quick: bool, seed: int) -> int:
    """Try the corpus and a deterministic number of mutations of it against every target; returns how many inputs.

    Raises ``tests.fuzz.verdict.Violation`` at the first that breaks a promise; it names the file the input is kept in.
    """
    from tests.fuzz.mutation import run_all  # noqa: PLC0415 - coverage guidance must come before the targets' imports

    return run_all(quick=quick, seed=seed)
