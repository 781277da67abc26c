"""The other parts of the demonstration: upstreams and agents, each a process of its own.

They run under interpreters that hold the official MCP SDKs and nothing of ours, so they import
nothing of ours but what lies beside them.
"""
