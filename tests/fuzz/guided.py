"""Coverage-guided fuzzing of one target by atheris, in a process of its own: libFuzzer ends it when it is done.

``python -m tests.fuzz.guided TARGET libFuzzer's-arguments...``; ``python -m tests.fuzz`` starts it.
"""

import sys

import atheris

_INSTRUMENTED = ["mcd_rt", "dbus_next", "tarfile", "tomllib", "json", "yaml"]


def main() -> None:
    """Never returns."""
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - what is imported here is what is instrumented
        from tests.fuzz.verdict import Limits, attempt  # noqa: PLC0415 - the same

    name = sys.argv[1]
    target, limits = TARGETS[name], Limits(seconds=10.0, interrupt=False)
    target(b"")  # what is imported or made on the first call is no growth of the first input

    def one_input(data: bytes) -> None:
        attempt(name, target, data, limits)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
