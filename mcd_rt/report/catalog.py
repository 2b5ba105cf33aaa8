"""The journal's catalogue: what ``journalctl -x`` adds to each line of ours, from the texts of ``mcd-rt explain``.

``python packaging/manual`` writes it. The format: systemd.io, "Journal Message Catalogs"; ``@FIELD@`` is replaced by
what the line has.
"""

from collections.abc import Mapping

from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.report.codes import CodeText, load_texts, without_links
from mcd_rt.report.events import message_id

_PAGE = "file:///usr/share/doc/mcd-rt/codes.md"
_STATES: Mapping[State, str] = {
    State.STARTING: "It has just started and has not looked at the node yet.",
    State.WAITING: "Something outside has to happen first: a config, an image, an OS update, or another client's end.",
    State.UNSUPPORTED: "This host is not one that it serves. It is left alone, which is healthy.",
    State.OBSERVING: "Another program manages the kernel of this node. It only looks whether the right one runs.",
    State.STEADY: "The node runs what it is asked for. Nothing is done until something changes.",
    State.IGNORED: "A kernel is asked for that the image has not. The node keeps the one it has, which is healthy.",
    State.FETCHING: "What the change needs is fetched from the image. Nothing on the node has changed yet.",
    State.STAGING: "rpm-ostree assembles the new deployment. It is locked: no reboot applies it before it is whole.",
    State.STAGED: "The new deployment is whole and waits for a reboot. The line says for what the reboot waits.",
    State.REBOOTING: "The new deployment is finalized and the node reboots into it.",
    State.VERIFYING: "After a reboot: is the running kernel the one that was to come up?",
    State.BLOCKED: "It cannot go on by itself: a person has to act, or another config to come.",
    State.RETRYING: "Something failed that may work later. It tries again by itself.",
    State.HELD: "A target is given up, or the reboots of a day are spent. `mcd-rt retry` releases it.",
}


def catalog() -> str:
    """All entries: one for each state, one for each code."""
    states = (_entry(state, "state", _STATES[state], "man:mcd-rt.service(8)") for state in State)
    codes = (_entry(text.code, "failure", _told(text), _PAGE) for text in load_texts().values())
    return f"# Made by `python packaging/manual` of mcd_rt/report/codes.toml.\n{''.join((*states, *codes))}"


def _entry(subject: State | Code, kind: str, text: str, documentation: str) -> str:
    return (
        f"\n-- {message_id(subject)}\n"
        f"Subject: {kind} {subject}\n"
        "Defined-By: mcd-rt\n"
        f"Documentation: {documentation}\n"
        f"\n{text}\n\n"
        "Config: @MCD_RT_CONFIG@ (kernel type: @MCD_RT_KERNEL_TYPE@)\n"
        "Now: `mcd-rt status`\n"
    )


def _told(text: CodeText) -> str:
    steps = "".join(f"\n  - {without_links(step)}" for step in text.steps)
    return (
        f"{text.means}\n{text.means_not}\n\n"
        f"Then: {text.then}.\n"
        f"The way out, as it was said: @MCD_RT_HINT@\n"
        f"To do:{steps}\n"
        f"Again at any time: `mcd-rt explain {text.code}`"
    )
