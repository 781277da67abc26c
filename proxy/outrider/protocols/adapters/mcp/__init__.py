"""MCP over Streamable HTTP, both eras, never translated into one another (PROTOCOLS §4)."""
