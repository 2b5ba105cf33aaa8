"""Starting without what an agent never uses: on a node that is idle for weeks, every module stays in memory."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

_MANY = 100_000


def seldom_look_for_garbage() -> None:
    """Have Python look for it once in so many objects: by default every import has it look, a tenth of a start."""
    gc.set_threshold(_MANY)


def import_when_used(name: str) -> None:
    """Have a module imported by whoever imports it from now on, but loaded only when somebody uses something of it.

    Not by importlib's ``LazyLoader``: the next ``import`` of the module would load it. Source: PEP 562.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:
        return
    stand_in = ModuleType(name)
    stand_in.__spec__ = spec

    def look_up(attribute: str) -> object:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    stand_in.__getattr__ = look_up  # type: ignore[method-assign]  # what the PEP says a module may have
    sys.modules[name] = stand_in


def import_asyncio_without_tls() -> None:
    """Have asyncio loaded without the ssl module, a megabyte of it; whoever imports that later gets it.

    asyncio takes it for missing, as on a Python built without OpenSSL: its streams and servers do all but TLS, and
    TLS is spoken by skopeo alone. Source: the language reference, "The module cache" (``None`` in ``sys.modules``).
    """
    if "ssl" in sys.modules or "asyncio" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # the reference knows of None, typeshed does not
    try:
        import_module("asyncio")
    finally:
        del sys.modules["ssl"]


@contextmanager
def package_unrun(name: str) -> Iterator[None]:
    """While the body imports modules of a package, its ``__init__`` is not run.

    Whoever imports the package itself afterwards gets it whole. Source: the language reference, "Packages": modules are
    found by the path of their package, whatever else is in it.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:  # it is loaded as it is; or not there, as the body will say
        yield
        return
    sys.modules[name] = module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[name]
