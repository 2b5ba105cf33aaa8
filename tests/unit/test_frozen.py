"""``@frozen`` makes what ``@dataclass(frozen=True, slots=True)`` makes, as far as anybody can tell."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from inspect import signature

import pytest

from mcd_rt.frozen import frozen


@frozen
class Ours:
    name: str
    count: int = 3
    tags: tuple[str, ...] = field(default_factory=tuple)
    source: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count")
        object.__setattr__(self, "name", self.name.strip())


@dataclass(frozen=True, slots=True)
class Theirs:
    name: str
    count: int = 3
    tags: tuple[str, ...] = field(default_factory=tuple)
    source: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count")
        object.__setattr__(self, "name", self.name.strip())


@frozen
class Nothing:
    pass


@frozen
class Loud:
    word: str

    def __repr__(self) -> str:
        return self.word.upper()


def outcome(act):
    try:
        return act()
    except (TypeError, ValueError) as error:
        return type(error)


WAYS = [
    lambda kind: kind("a"),
    lambda kind: kind(" a ", 1),
    lambda kind: kind("a", count=1, source="x"),
    lambda kind: kind(name="a", tags=("t",)),
    lambda kind: kind("a", 1, ("t",), "x"),
    lambda kind: replace(kind("a", 1, ("t",), "x"), count=2),
    lambda kind: kind(),
    lambda kind: kind("a", 1, (), "", "too many"),
    lambda kind: kind("a", name="twice"),
    lambda kind: kind("a", other=1),
    lambda kind: kind("a", -1),
    lambda kind: replace(kind("a"), other=1),
    lambda kind: copy.deepcopy(kind("a", 1)),
    lambda kind: pickle.loads(pickle.dumps(kind("a", 1, ("t",)))),
]


@pytest.mark.parametrize("way", WAYS)
def test_it_is_made_and_refused_as_a_dataclass(way):
    ours, theirs = outcome(lambda: way(Ours)), outcome(lambda: way(Theirs))
    if isinstance(theirs, Theirs):
        assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
        assert asdict(ours) == asdict(theirs)
        assert hash(ours) == hash(theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_equal_is_what_has_equal_values_of_what_is_compared(kind):
    assert kind("a", source="here") == kind("a", source="there")
    assert kind("a") != kind("b")
    assert len({kind("a"), kind("a"), kind("b")}) == 2
    assert kind("a") != Nothing()


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_nothing_is_assigned_deleted_or_added(kind):
    made = kind("a")
    for act in (lambda: setattr(made, "name", "b"), lambda: delattr(made, "name")):
        with pytest.raises(FrozenInstanceError):
            act()
    assert not hasattr(made, "__dict__")
    assert kind.__slots__ == ("name", "count", "tags", "source")


def test_it_is_matched_by_position_and_known_to_the_standard_library():
    match Ours("a", 7):
        case Ours(name, count):
            assert (name, count) == ("a", 7)
    assert [each.name for each in fields(Ours)] == [each.name for each in fields(Theirs)]
    ours, theirs = signature(Ours).parameters, signature(Theirs).parameters
    assert [(one.name, one.kind, one.annotation) for one in ours.values()] == [
        (one.name, one.kind, one.annotation) for one in theirs.values()
    ]
    assert [one.default is one.empty for one in ours.values()] == [one.default is one.empty for one in theirs.values()]


def test_its_own_words_are_kept_and_no_field_is_enough():
    assert repr(Loud("word")) == "WORD"
    assert (repr(Nothing()), Nothing() == Nothing(), len({Nothing(), Nothing()})) == ("Nothing()", True, 1)
