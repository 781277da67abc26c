"""Rotation for as long as a sidecar lives: nothing is left over (IDENTITY §7.2).

No loop is needed: a context is made where a connection is wrapped.
"""

import gc
from pathlib import Path

from outrider.identity.reasons import HandshakeReason
from tests.support.spiffe_ca import Trust
from tests.support.spiffe_wire import open_descriptors, ours, shaken

WARM, ROTATIONS, EACH = 200, 1_000, 20
MOST_BYTES = 2 << 20


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_a_thousand_rotations_leave_descriptors_and_memory_as_they_were():
    us = ours()
    server, client = us.server(), us.client()
    svids = [us.a.own("/sidecar") for _ in range(4)]

    def rotate(count: int) -> None:
        for number in range(count):
            Trust(own=svids[number % 4], bundles=us.trust.bundles).give(us.keeper)
            ends = shaken(client, server) if number % EACH == 0 else ()
            if not ends:
                server._current()
                client._current()
            us.events.handshakes.clear()

    rotate(WARM)
    gc.collect()
    descriptors, resident = open_descriptors(), _resident_bytes()
    before = us.keeper.snapshot().generation
    rotate(ROTATIONS)
    gc.collect()
    assert us.keeper.snapshot().generation == before + ROTATIONS
    assert open_descriptors() == descriptors
    assert _resident_bytes() - resident < MOST_BYTES
    shaken(client, server)
    assert [reason for _, reason in us.handshakes] == [HandshakeReason.OK] * 2
