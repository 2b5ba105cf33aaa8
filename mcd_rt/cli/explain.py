"""``mcd-rt explain``: what a code means, what it does not mean, and what to do."""

import argparse
import json
import textwrap
from difflib import get_close_matches

from mcd_rt.cli.context import host_paths
from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import is_agent_running
from mcd_rt.report.codes import CodeText, load_texts, without_links
from mcd_rt.report.status import Status, codes_of, read_status
from mcd_rt.report.words import age, next_step

_WIDTH = 100
_NOT_UNDERSTOOD = 64


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "explain",
        help="what a code means, what it does not mean, and what to do",
        description="Prints what the codes mean that are in messages, `mcd-rt status`, the log and the metrics. "
        "Without a code: those that this node's agent says now. Exit code 64: there is no such code.",
    )
    parser.add_argument("code", nargs="*", metavar="CODE", help="such as not-finalized")
    parser.add_argument("--list", action="store_true", help="print every code there is, one a line")
    parser.add_argument("--json", action="store_true", help="print one JSON object, by code")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the texts."""
    texts = load_texts()
    if arguments.list:
        print("\n".join(code.value for code in texts))
        return 0
    unknown = [word for word in arguments.code if word not in set(Code)]
    if unknown:
        print("\n".join(map(_not_known, unknown)))
        return _NOT_UNDERSTOOD
    codes = [Code(word) for word in arguments.code] or codes_of_node(host_paths())
    if arguments.json:
        print(json.dumps({code.value: _document(texts[code]) for code in codes}))
    elif codes:
        print("\n\n".join("\n".join(explain(texts[code])) for code in codes))
    else:
        print("\n".join(_without_code(read_status(host_paths()), HostEffects().now())))
    return 0


def codes_of_node(paths: HostPaths) -> list[Code]:
    """What this node's agent says now; that there is none, if none runs."""
    told = codes_of(read_status(paths))
    return [*told] if is_agent_running(paths) else [Code.AGENT_NOT_RUNNING, *told]


def _without_code(status: Status, now: float) -> list[str]:
    """Nothing is wrong, which need not mean that there is nothing to wait for."""
    lines = [
        "nothing is wrong now; `mcd-rt explain --list` prints every code there is",
        f"  {status.state}: {' '.join(status.summary.split())}",
        f"  next: {next_step(status, now)}",
    ]
    past = status.last_error  # perhaps overcome, perhaps just tried again
    if past is not None:
        code = past.failure.code
        lines.append(f"  last error: {code}, {age(now - past.at)} ago; `mcd-rt explain {code}` says more")
    return lines


def explain(text: CodeText) -> list[str]:
    """A code as lines for people."""
    steps = map(without_links, text.steps)
    return [
        text.code.value,
        *_paragraph("means", text.means),
        *_paragraph("not", text.means_not),
        *_paragraph("then", text.then),
        *(line for at, step in enumerate(steps) for line in _paragraph("" if at else "to do", step)),
    ]


def _paragraph(label: str, words: str) -> list[str]:
    wrapped = textwrap.wrap(words, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"  {label if at == 0 else '':<7}{line}" for at, line in enumerate(wrapped)]


def _not_known(word: str) -> str:
    near = get_close_matches(word, [code.value for code in Code])
    return f"{word} is no code; " + (f"near it: {', '.join(near)}" if near else "`mcd-rt explain --list` prints all")


def _document(text: CodeText) -> dict[str, object]:
    return {
        "group": text.group,
        "means": text.means,
        "does_not_mean": text.means_not,
        "then": text.then,
        "to_do": list(text.steps),
    }
