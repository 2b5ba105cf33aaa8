"""A simulated node on a private bus: rpm-ostree, logind, reboot, image."""
