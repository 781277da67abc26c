"""Identifiers that sort by time (UUIDv7, RFC 9562 §5.7)."""

import os


def uuid7(unix_s: float) -> str:
    """A new UUIDv7 for the wall time `unix_s`, in its usual 36-character spelling."""
    head = int(unix_s * 1000) & 0xFFFF_FFFF_FFFF
    tail = int.from_bytes(os.urandom(10), "big")
    variant = tail & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    text = f"{head:012x}7{tail >> 64 & 0xFFF:03x}{variant:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
