"""Making the next step of a plan happen: stage, finalize, verify."""
