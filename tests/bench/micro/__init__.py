"""Prices of single parts, to read a profile by. Not gated and not part of `make bench`."""
