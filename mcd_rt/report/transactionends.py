"""How transactions end, as a label; apart from the labels, for whoever only shows them needs no D-Bus."""

from typing import assert_never

from mcd_rt.dbus.transaction import Done, Failed, Foreign, Lost, NotStarted, Outcome
from mcd_rt.report.labels import TransactionEnd


def end_of(outcome: Outcome) -> TransactionEnd:
    """The label of a transaction's outcome."""
    match outcome:
        case Done():
            return TransactionEnd.DONE
        case Failed():
            return TransactionEnd.FAILED
        case Lost():
            return TransactionEnd.LOST
        case Foreign():
            return TransactionEnd.FOREIGN
        case NotStarted():
            return TransactionEnd.NOT_STARTED
        case _:
            assert_never(outcome)
