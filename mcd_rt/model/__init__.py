"""The values everyone speaks. Pure: no I/O, no clock."""
