"""Panics of native code, told as errors: what a damaged key or package does to a library is no end of a worker."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise ``RuntimeError`` for a panic of rpm-rs: pyo3 derives it from ``BaseException``, in no module to import."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(f"the library gave up: {error}") from error
