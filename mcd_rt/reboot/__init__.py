"""When may the node reboot? A file a strategy; values in, a verdict out."""
