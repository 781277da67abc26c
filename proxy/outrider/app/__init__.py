"""The composition root: the only place that constructs, starts and stops (STYLE rule 19)."""

from outrider.app.sidecar import Sidecar

__all__ = ["Sidecar"]
