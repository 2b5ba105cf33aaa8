"""What the verbs share: which node they speak of, and how log lines look."""

import logging
import os
import sys

from mcd_rt.cli.place import host_paths
from mcd_rt.effects import HostEffects
from mcd_rt.observation import Context
from mcd_rt.report.journal import PLACE, JournalHandler, is_journal, priority_of
from mcd_rt.report.reporter import Reporter
from mcd_rt.settings import load_settings

__all__ = ["host_paths", "make_context", "start_logging"]


def make_context(*, may_reboot: bool = True, silent: bool = False) -> Context:
    """The real world, as the settings say; raises ``AgentError`` (``settings-invalid``).

    ``silent`` is for verbs that only look: they publish no status.
    """
    effects, paths = HostEffects(), host_paths()
    return Context(paths, load_settings(paths), effects, Reporter(effects, paths, silent=silent), may_reboot)


_STDERR = 2


class _JournalPriority(logging.Formatter):
    """Puts the priority where the journal looks for it: ``<N>`` at the start of a line (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its priority."""
        return f"<{priority_of(record)}>{super().format(record)}"


def start_logging() -> None:
    """Log to standard error; where that is the journal, to the journal itself, which is told fields besides."""
    plain = logging.StreamHandler(sys.stderr)
    handler: logging.Handler = plain
    if is_journal(_STDERR, os.environ.get("JOURNAL_STREAM", "")):
        plain.setFormatter(_JournalPriority())
        handler = JournalHandler(PLACE, plain)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        plain.setFormatter(logging.Formatter("mcd-rt: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
