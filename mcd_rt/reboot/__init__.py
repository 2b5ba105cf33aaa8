"""When the node may reboot: a file a strategy, pure decisions."""
