"""The I/O edge of the data plane: listeners, upstream connections, overload, drain."""
