"""What other rpm-ostree clients do to a node, in between."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.property.pure_node import (
    Node,
    Refusal,
    Tree,
    check,
    cleanup_pending,
    finalize,
    roll_back,
    stage,
)

LAYERED = "cockpit"
ARGUMENT = "audit=1"


def _stage(node: Node, tree: Tree, arguments: tuple[str, ...]) -> Node:
    """As rpm-ostree does it: upon what is staged, whose lock stays."""
    if (tree, arguments) == (node.merge.tree, node.merge.arguments):
        return node
    try:
        check(node, tree)
    except Refusal:
        return node
    return stage(node, tree, locked=node.merge.staged and node.merge.locked, arguments=arguments)


def layer(node: Node) -> Node:
    tree = node.merge.tree
    return _stage(node, replace(tree, requested=tree.requested | {LAYERED}), node.merge.arguments)


def append_argument(node: Node) -> Node:
    arguments = node.merge.arguments
    return node if ARGUMENT in arguments else _stage(node, node.merge.tree, (*arguments, ARGUMENT))


def pin(node: Node) -> Node:
    return replace(node, placed=tuple(replace(one, pinned=one.pinned or one.booted) for one in node.placed))


def rebase(node: Node) -> Node:
    tree = node.merge.tree
    other = next((os for os in node.offers if os != tree.os), tree.os)
    return _stage(node, replace(tree, os=other), node.merge.arguments)


def unlock(node: Node) -> Node:
    """``rpm-ostree finalize-deployment``, whose reboot comes later."""
    return node if node.staged is None else finalize(node, node.staged.id)


ADDING: Mapping[str, Callable[[Node], Node]] = {"layer": layer, "append": append_argument, "pin": pin}
"""What adds something that must not be lost."""

ANY = ADDING | {"rebase": rebase, "clean up": cleanup_pending, "roll back": roll_back, "unlock": unlock}
