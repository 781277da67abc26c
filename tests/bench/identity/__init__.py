"""What identity costs: revalidation, TLS on a live connection, handshakes, rotations."""
