"""Injection into Kubernetes pods: the pure half (names to review), and the webhook around it."""
