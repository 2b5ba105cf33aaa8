"""Pages, or parts of them, that are made from the program."""

import json
import re
from textwrap import dedent

from commandline import CommandLine, Verb
from markdown import escaped

from mcd_rt.model.settings import Settings
from mcd_rt.settings import TracedSettings

_HEAD = """\
<!-- made by python packaging/manual: do not edit -->

# Commands

{description} Each verb says the same with `--help`; `man mcd-rt` has it too.

| verb | what it does |
|---|---|
{verbs}

```text
{epilog}
```
"""
_SETTING = re.compile(r"^\| `(?P<name>[^`]+)` \| `[^`]*` \|", re.MULTILINE)


def command_reference(line: CommandLine) -> str:
    """docs/commands.md."""
    verbs = "\n".join(f"| [`{verb.name}`](#{verb.name}) | {escaped(verb.summary)} |" for verb in line.verbs)
    head = _HEAD.format(description=escaped(line.description), verbs=verbs, epilog=line.epilog.rstrip())
    return "\n".join((head, *map(_chapter, line.verbs))).rstrip() + "\n"


def with_defaults(page: str) -> str:
    """docs/settings.md with the defaults the program has; raises ``KeyError`` for a setting there is not."""
    defaults = TracedSettings(Settings(), {}).values()
    return _SETTING.sub(lambda found: f"| `{found['name']}` | `{json.dumps(defaults[found['name']])}` |", page)


def _chapter(verb: Verb) -> str:
    described = "\n\n".join(escaped(" ".join(each.split())) for each in verb.description.split("\n\n"))
    lines = [f"## {verb.name}", "", "```text", verb.synopsis, "```", "", described, ""]
    if verb.options:
        options = (
            f"| `{each.spelling.replace('|', chr(92) + '|')}` | {escaped(each.meaning)} |" for each in verb.options
        )
        lines += ["| option | what it does |", "|---|---|", *options, ""]
    if verb.epilog:
        lines += ["```text", dedent(verb.epilog).rstrip(), "```", ""]
    return "\n".join(lines)
