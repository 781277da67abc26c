"""What every listener of ours shares: how a socket is bound, how small HTTP servers are held."""
