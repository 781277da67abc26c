"""Vocabulary and laws: imports nothing of ours, awaits nothing."""
