"""How long the system tests wait for anything: a guard against hanging, never what is expected of a machine."""

PATIENCE = 150.0
"""Seconds. A whole story takes ten on an idle machine of two cores, and several times that on a busy one."""

STORY = 600
"""Seconds for a whole test; longer than any single wait, so that the wait that hangs is what is told."""
