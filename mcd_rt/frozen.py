"""``@frozen``: a class of values as ``@dataclass(frozen=True, slots=True)`` makes it, without code that is made anew.

``dataclass`` writes six methods as text and compiles them, for every class at every start: of an agent's start that was
half, and more than a megabyte of what it keeps. Here all classes share methods that know the fields by name. Everything
else is the standard library's: ``fields``, ``replace``, ``asdict``, ``field`` and matching by position are as ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from inspect import Signature

    from _typeshed import DataclassInstance

T = TypeVar("T")

_Fields = tuple[Field[Any], ...]


class _Kind:
    """What the shared methods know of one class: its fields, and in their order what writes a slot each."""

    __slots__ = ("checked", "compared", "every", "fields", "puts")

    def __init__(self, made: "type[DataclassInstance]") -> None:
        self.fields: _Fields = fields(made)
        names = tuple(each.name for each in self.fields)
        self.puts = tuple(vars(made)[name].__set__ for name in names)
        self.every = _getter(names)
        compared = tuple(each.name for each in self.fields if each.compare)
        self.compared = self.every if compared == names else _getter(compared)
        self.checked: Callable[[object], None] | None = getattr(made, "__post_init__", None)


class _Made(Protocol):
    """An instance of a class that was made here."""

    __frozen__: _Kind


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a class one of immutable values; its own ``__eq__``, ``__hash__`` and ``__repr__`` are kept."""
    own = frozenset(vars(kind))
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(kind)
    made.__frozen__ = _Kind(made)
    for name, method in _METHODS.items():
        if name not in own:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]  # the class that came, with slots


def _initialize(self: _Made, *given: object, **named: object) -> None:
    """``__init__``: every value into its slot, those that are missing by default."""
    kind = self.__frozen__
    values: Sequence[object] = given
    if named or len(given) != len(kind.puts):
        values = _arranged(self.__class__.__qualname__, kind.fields, given, named)
    for put, each in zip(kind.puts, values, strict=True):
        put(self, each)
    if kind.checked is not None:
        kind.checked(self)


def _arranged(name: str, found: _Fields, given: tuple[object, ...], named: dict[str, object]) -> list[object]:
    if len(given) > len(found):
        raise TypeError(f"{name} takes {len(found)} values, and {len(given)} were given")
    arranged = [*given]
    for each in found[len(given) :]:
        if each.name in named:
            arranged.append(named.pop(each.name))
        elif each.default is not MISSING:
            arranged.append(each.default)
        elif each.default_factory is not MISSING:
            arranged.append(each.default_factory())
        else:
            raise TypeError(f"{name} lacks its {each.name!r}")
    if named:
        raise TypeError(f"{name} has no {', '.join(map(repr, named))}, or was given it twice")
    return arranged


class _Signature:
    """What ``inspect.signature`` says of such a class: as of a dataclass, made when somebody asks."""

    def __get__(self, instance: object, kind: "type[DataclassInstance]") -> "Signature":
        from inspect import Parameter, Signature  # noqa: PLC0415 - for tools only

        def parameter(of: Field[Any]) -> Parameter:
            default = Parameter.empty if of.default is MISSING else of.default
            default = default if of.default_factory is MISSING else of.default_factory
            return Parameter(of.name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=of.type)

        return Signature([parameter(each) for each in fields(kind)], return_annotation=None)


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    match names:
        case ():
            return lambda _: ()
        case (only,):
            return lambda instance: (getattr(instance, only),)
        case _:
            return attrgetter(*names)


def _equal(self: _Made, other: object) -> object:
    compared = self.__frozen__.compared
    return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: _Made) -> int:
    return hash(self.__frozen__.compared(self))


def _reduced(self: _Made) -> tuple[type, tuple[Any, ...]]:
    return self.__class__, self.__frozen__.every(self)


def _described(self: "DataclassInstance") -> str:
    said = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{self.__class__.__qualname__}({said})"


def _no_assignment(_: object, name: str, __: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_deletion(_: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {
    "__init__": _initialize,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _described,
    "__setattr__": _no_assignment,
    "__delattr__": _no_deletion,
    "__reduce__": _reduced,
    "__signature__": _Signature(),
}
