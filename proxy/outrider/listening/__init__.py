"""What every listener of ours shares: how a socket is bound, how handshakes are bounded, how small
HTTP servers are held."""
