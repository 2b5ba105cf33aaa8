"""What has to change, as a value: desired × observed × content → plan. Pure: no I/O, no clock."""
