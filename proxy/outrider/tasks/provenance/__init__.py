"""Where the values in a call's arguments were seen before (GOVERNANCE §4)."""
