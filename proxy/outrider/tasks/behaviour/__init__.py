"""What a root task and its child tasks did: counted, told to policy, settled (GOVERNANCE §5)."""
