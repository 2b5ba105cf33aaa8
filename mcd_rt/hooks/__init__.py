"""An administrator's programs around the reboot: before it, and after it was verified."""
