"""Kernel arguments: one text of many, as the kernel reads it, and single ones.

The kernel takes white space between arguments, unless it stands between double quotes
(kernel.org, "The kernel's command-line parameters"; ``lib/cmdline.c``, ``next_arg``).
"""


def split_arguments(text: str) -> tuple[str, ...]:
    """The single arguments of a command line, in order, quotes kept; raises ``ValueError`` for what none can be."""
    hidden = next((character for character in text if character != "\t" and not character.isprintable()), None)
    if hidden is not None:
        raise ValueError(f"it has the character {hidden!r}, which no kernel argument can have")
    arguments, current, quoted = [], "", False
    for character in text:
        quoted ^= character == '"'
        if character in " \t" and not quoted:
            arguments += [current] if current else []
            current = ""
        else:
            current += character
    if quoted:
        raise ValueError("a double quote is not closed")
    return (*arguments, current) if current else tuple(arguments)


def is_one_argument(text: str) -> bool:
    """Whether a text is exactly one argument."""
    try:
        return split_arguments(text) == (text,)
    except ValueError:
        return False
