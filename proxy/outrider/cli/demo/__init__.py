"""`outrider demo`: a governed agent with real parts, in one terminal."""
