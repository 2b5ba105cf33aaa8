"""Kernel arguments, as hypothesis draws them."""

import string

from hypothesis import strategies as st

_PLAIN = st.text(string.ascii_letters + string.digits + "=.,-_:'\\\u00e4\u2603", max_size=8)
_QUOTED = st.text(string.ascii_letters + " \t=+", max_size=8).map(lambda text: f'"{text}"')

ARGUMENTS = st.lists(_PLAIN | _QUOTED, min_size=1, max_size=3).map("".join).filter(bool)
