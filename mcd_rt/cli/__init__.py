"""One module a verb: parses arguments, prints, decides nothing."""
