"""The public MCP server conformance suite, run directly and through Outrider."""
