"""I/O edge of the control plane: administration, health and the metrics page."""
