"""Dashboards as code: `python -m deploy.grafana.render` writes the JSON beside it."""
