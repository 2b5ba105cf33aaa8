"""Edits of kernel arguments, in libostree's own rules and words.

Source: libostree ``ostree-kernel-args.c`` (``ostree_kernel_args_delete``, ``_new_replace``, ``_append``) and
rpm-ostree ``kernel_arg_apply_patching``: order is kept, duplicates are entries of their own, each entry that
is given deletes one of them.
"""

from dataclasses import dataclass

from mcd_rt.model.kernelargs import split_arguments
from mcd_rt.sim.steps import Refused


@dataclass(frozen=True, slots=True)
class Edits:
    """What ``KernelArgs`` asks for: its three lists, then its options; ``final`` stands for all of them."""

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    append_if_missing: tuple[str, ...] = ()
    delete_if_present: tuple[str, ...] = ()
    final: str = ""


def edited(existing: str, edits: Edits) -> tuple[str, ...] | None:
    """The arguments afterwards, ``None`` where nothing is asked for; raises ``Refused``.

    What is appended is taken as it is: an element of several arguments is several once it is read again.
    Whether one is missing or present is judged by what was there before any edit, cut at each space: a value
    in quotes that has one is never found there.
    """
    if edits.final:
        return None if edits.final == existing else _split(edits.final)
    before = existing.split(" ")
    words = list(_split(existing))
    for entry in edits.removed:
        words = _without(words, entry)
    for entry in edits.replaced:
        words = _with_replaced(words, entry)
    missing = [entry for entry in edits.append_if_missing if entry not in before]
    present = [entry for entry in edits.delete_if_present if entry in before]
    words += [*edits.added, *missing]
    for entry in present:
        words = _without(words, entry)
    changed = edits.removed or edits.replaced or edits.added or missing or present
    return tuple(words) if changed else None


def _split(text: str) -> tuple[str, ...]:
    try:
        return split_arguments(text)
    except ValueError as error:
        raise Refused(f"kernel arguments that no kernel can read: {error}") from error


def _key(word: str) -> str:
    return word.partition("=")[0]


def _without(words: list[str], entry: str) -> list[str]:
    same = [at for at, word in enumerate(words) if _key(word) == _key(entry)]
    if not same:
        raise Refused(f"No key '{_key(entry)}' found")
    exact = [at for at in same if words[at] == entry]
    if not exact and "=" in entry:
        raise Refused(f"No karg '{entry}' found")
    if not exact and len(same) > 1:
        raise Refused(f"Multiple values for key '{entry}' found")
    at = (exact or same)[0]
    return [*words[:at], *words[at + 1 :]]


def _with_replaced(words: list[str], entry: str) -> list[str]:
    key, equals, value = entry.partition("=")
    same = [at for at, word in enumerate(words) if _key(word) == key]
    if not same:
        raise Refused(f"No key '{key}' found")
    old, names_old, new = value.partition("=")
    if names_old:
        same = [at for at in same if words[at] == f"{key}={old}"]
        if not same:
            raise Refused(f"No karg '{key}={old}' found")
        value = new
    elif len(same) > 1:
        raise Refused(f"Multiple values for key '{key}' found")
    return [*words[: same[0]], f"{key}{equals}{value}", *words[same[0] + 1 :]]
