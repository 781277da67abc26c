"""Outrider: a policy enforcement point beside one autonomous agent."""

from typing import Final

__version__: Final = "0.1.0"
