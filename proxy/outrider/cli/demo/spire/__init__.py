"""The demonstration over real SPIRE: two agents call each other through two sidecars."""
