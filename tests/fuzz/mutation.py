"""Inputs without guidance: the corpus, and mutations of it that are the same for the same seed."""

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.targets import TARGETS
from tests.fuzz.verdict import Limits, Target, attempt, little_memory

CORPUS = Path(__file__).parent / "corpus"

_QUICK, _FULL = 30, 1000
_LONGEST = 64 * 1024
_ROOM = 2 << 30
_WORD = re.compile(rb"[A-Za-z0-9_.-]{2,40}")
_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_WORDS = (
    b"\0", b"\n", b"\r\n", b"\xff", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"..", b"/", b"//", b'"', b"\\", b"\\ud800",
    b"{", b"[", b"[[", b"{}", b"[]", b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 30, b"9" * 5000,
    b"&a ", b"*a", b"<<: ", b"? ", b"- ", b"!!", b"|",
)  # fmt: skip


def corpus_of(name: str) -> list[bytes]:
    """The seeds of a target, in the order of their names."""
    return [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]


def run_all(*, quick: bool, seed: int) -> int:
    """See ``tests.fuzz.run``."""
    limits = Limits()
    with little_memory(_ROOM):
        return sum(_run(name, target, _QUICK if quick else _FULL, seed, limits) for name, target in TARGETS.items())


def _run(name: str, target: Target, mutations: int, seed: int, limits: Limits) -> int:
    seeds = corpus_of(name)
    for data in seeds:
        attempt(name, target, data, limits)
    mutated = mutants(name, seeds, seed)
    for _ in range(mutations):
        attempt(name, target, next(mutated), limits)
    return len(seeds) + mutations


def mutants(name: str, seeds: list[bytes], seed: int) -> Iterator[bytes]:
    """Mutations without end, the same for the same target, corpus and seed."""
    chance = random.Random(hashlib.sha256(f"{seed} {name}".encode()).digest())
    words = [*_WORDS, *sorted({word for data in seeds for word in _WORD.findall(data)})]
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            _mutate(data, chance, words, seeds)
        yield bytes(data[:_LONGEST])


def _mutate(data: bytearray, chance: random.Random, words: list[bytes], seeds: list[bytes]) -> None:
    at = chance.randint(0, len(data))
    size = min(chance.choice((1, 2, 4, 16, 64, 512)), len(data) - at)
    match chance.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at : at + 1] = chance.randbytes(1)
        case 2:
            del data[at : at + size]
        case 3:
            data[at:at] = data[at : at + size] * chance.choice((1, 2, 200))
        case 4:
            data[at:at] = chance.choice(words)
        case 5:
            data[at : at + size] = chance.choice(words)
        case 6:
            number = chance.choice(_NUMBERS).to_bytes(4, chance.choice(("little", "big")))
            data[at : at + 4] = number[-chance.choice((1, 2, 4)) :]
        case _:
            other = chance.choice(seeds)
            start = chance.randint(0, len(other))
            data[at:] = other[start : start + _LONGEST]
