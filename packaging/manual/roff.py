"""Manual pages: the few requests of man(7) that we use."""

import re
import textwrap

_WIDTH = 78


def title(name: str, section: int, version: str, book: str, date: str) -> str:
    """The first line of a page; never hyphenated, and ragged: it is full of names."""
    heading = f'.TH {name.upper()} {section} "{date}" "{version}" "{book}"'
    return f'.\\" Made by packaging/manual: do not edit.\n{heading}\n.nh\n.ad l\n'


def section(heading: str, *bodies: str) -> str:
    """A section with what stands in it."""
    return f".SH {heading.upper()}\n" + "".join(bodies)


def subsection(heading: str, *bodies: str) -> str:
    """A part of a section."""
    return f".SS {inline(heading)}\n" + "".join(bodies)


def paragraph(text: str) -> str:
    """A paragraph; in it `code` is bold, and of a link only the text is left."""
    return f".PP\n{_line(text)}"


def text(words: str) -> str:
    """The first paragraph of a section."""
    return _line(words)


def tagged(tag: str, meaning: str) -> str:
    """An entry of a list: a name and what it means."""
    return f".TP\n{inline(tag)}\n{_line(meaning)}"


def verbatim(words: str) -> str:
    """Text as it stands there."""
    lines = [_guarded(_escaped(line)) for line in textwrap.dedent(words).rstrip().splitlines()]
    return "\n".join((".PP", ".RS 2", ".nf", *lines, ".fi", ".RE")) + "\n"


def inline(words: str) -> str:
    """One line of text, in the page's characters and fonts."""
    words = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", words)
    words = re.sub(r"\*\*(.+?)\*\*", r"\1", words)
    parts = words.split("`")
    parts = [f"\\fB{_escaped(part)}\\fR" if number % 2 else _escaped(part) for number, part in enumerate(parts)]
    return _guarded("".join(parts))


def _line(words: str) -> str:
    lines = textwrap.wrap(inline(words), _WIDTH, break_on_hyphens=False, break_long_words=False)
    return "".join(f"{_guarded(line)}\n" for line in lines)


def _escaped(words: str) -> str:
    words = (
        words.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    )
    for character, name in (("…", "..."), ("→", "->"), ("≥", ">="), ("↔", "<->"), ("×", "x"), ("–", "\\-")):
        words = words.replace(character, name)
    return words


def _guarded(line: str) -> str:
    """A line that begins with a dot or a quote would be a request."""
    return f"\\&{line}" if line.startswith((".", "\\(aq")) else line
