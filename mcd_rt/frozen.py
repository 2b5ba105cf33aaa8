"""``@frozen``: a class of values as ``@dataclass(frozen=True, slots=True)`` makes it, without code that is made anew.

``dataclass`` writes six methods as text and compiles them, for every class at every start: of an agent's start that was
half, and more than a megabyte of what it keeps. Here all classes share methods that know the fields by name. Everything
else is the standard library's: ``fields``, ``replace``, ``asdict``, ``field`` and matching by position are as ever.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from inspect import Signature

    from _typeshed import DataclassInstance

T = TypeVar("T")

_Fields = tuple[Field[Any], ...]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a class one of immutable values; its own ``__eq__``, ``__hash__`` and ``__repr__`` are kept."""
    own = frozenset(vars(kind))
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(kind)
    found: _Fields = fields(made)
    compared = _getter(tuple(each.name for each in found if each.compare))
    made.__init__ = _initializer(made, found)
    made.__setattr__, made.__delattr__ = _no_assignment, _no_deletion
    made.__signature__ = _Signature()
    made.__reduce__ = _reducer(_getter(tuple(each.name for each in found)))
    for name, method in (("__eq__", _equality(compared)), ("__hash__", _hash(compared)), ("__repr__", _described)):
        if name not in own:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]  # the class that came, with slots


def _initializer(made: type, found: _Fields) -> Callable[..., None]:
    """``__init__``: every value into its slot, those that are missing by default."""
    name = made.__qualname__
    names = tuple(each.name for each in found)
    slots = tuple(vars(made)[each].__set__ for each in names)
    defaults = {each.name: each for each in found if each.default is not MISSING or each.default_factory is not MISSING}
    checked = getattr(made, "__post_init__", None)

    def arranged(given: tuple[object, ...], named: dict[str, object]) -> list[object]:
        if len(given) > len(names):
            raise TypeError(f"{name} takes {len(names)} values, and {len(given)} were given")
        arranged = [*given]
        for each in names[len(given) :]:
            if each in named:
                arranged.append(named.pop(each))
            elif each in defaults:
                default = defaults[each]
                arranged.append(default.default if default.default_factory is MISSING else default.default_factory())
            else:
                raise TypeError(f"{name} lacks its {each!r}")
        if named:
            raise TypeError(f"{name} has no {', '.join(map(repr, named))}, or was given it twice")
        return arranged

    def initialize(self: object, *given: object, **named: object) -> None:
        values = arranged(given, named) if named or len(given) != len(slots) else given
        for put, each in zip(slots, values, strict=True):
            put(self, each)
        if checked is not None:
            checked(self)

    return initialize


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


def _equality(compared: Callable[[Any], tuple[Any, ...]]) -> Callable[[object, object], object]:
    def equal(self: object, other: object) -> object:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(compared: Callable[[Any], tuple[Any, ...]]) -> Callable[[object], int]:
    return lambda self: hash(compared(self))


def _reducer(every: Callable[[Any], tuple[Any, ...]]) -> Callable[[object], tuple[type, tuple[Any, ...]]]:
    return lambda self: (self.__class__, every(self))


def _described(self: "DataclassInstance") -> str:
    said = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{self.__class__.__qualname__}({said})"


def _no_assignment(_: object, name: str, __: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_deletion(_: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
