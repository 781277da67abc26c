"""The enforcement point: the stages of one exchange, in order, and the last door."""
