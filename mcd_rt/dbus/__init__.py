"""Talking to rpm-ostree, logind and systemd."""
