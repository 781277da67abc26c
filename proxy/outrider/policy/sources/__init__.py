"""Where bundles are fetched from: a web server, an OCI registry."""
