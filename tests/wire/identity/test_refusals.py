"""The negative certificates of IDENTITY §7.1, as client and as server, on both event loops.

Each stands between two positive controls on the same listener: the first shows that the way is
open, the second that everything before it has been seen.
"""

import logging
import ssl

import pytest

from outrider.identity.reasons import HandshakeReason, Role
from tests.support.spiffe_defects import ACCEPTED, DEFECTS, Defect, Odd
from tests.support.spiffe_wire import dialled, listening, ours, their_client, their_server

OK = HandshakeReason.OK


def _logged_once(caplog: pytest.LogCaptureFixture, role: Role, reason: HandshakeReason) -> bool:
    """One line, of ours, with the closed reason; no traceback from anyone."""
    assert [record for record in caplog.records if record.exc_info] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    lines = [record for record in caplog.records if record.name == "outrider.identity"]
    assert len(lines) == 1
    (line,) = lines
    assert line.getMessage() == "a TLS peer was refused"
    return (vars(line)["role"], vars(line)["reason"]) == (role.value, reason.value)


@pytest.mark.parametrize("odd", [pytest.param(one, id=one.id) for one in ACCEPTED])
async def test_odd_certificates_in_order_are_taken_from_clients(odd: Odd):
    us = ours()
    async with (
        listening(us.server()) as echo,
        dialled(echo.port, their_client(odd.make(us.a, us.b))) as connection,
    ):
        assert await connection.echoes()
        assert echo.peers[0] is not None
    assert us.handshakes == [(Role.SERVER, OK)]


@pytest.mark.parametrize("odd", [pytest.param(one, id=one.id) for one in ACCEPTED])
async def test_odd_certificates_in_order_are_taken_from_servers(odd: Odd):
    us = ours()
    async with (
        listening(their_server(odd.make(us.a, us.b))) as echo,
        dialled(echo.port, us.client()) as connection,
    ):
        assert await connection.echoes()
        assert connection.peer is not None
    assert us.handshakes == [(Role.CLIENT, OK)]


@pytest.mark.parametrize("defect", [pytest.param(one, id=one.id) for one in DEFECTS])
async def test_a_client_with_a_defect_never_reaches_the_handler(
    defect: Defect, caplog: pytest.LogCaptureFixture
):
    us = ours()
    good, bad = their_client(us.a.svid()), their_client(defect.make(us.a, us.b))
    async with listening(us.server()) as echo:
        async with dialled(echo.port, good) as connection:
            assert await connection.echoes()
        try:
            async with dialled(echo.port, bad) as connection:
                assert not await connection.echoes()
        except (ConnectionError, ssl.SSLError):
            pass  # refused before its own side was through
        async with dialled(echo.port, good) as connection:
            assert await connection.echoes()
    reason = defect.why(Role.SERVER)
    assert len(echo.peers) == 2
    assert us.handshakes == [(Role.SERVER, OK), (Role.SERVER, reason), (Role.SERVER, OK)]
    assert _logged_once(caplog, Role.SERVER, reason)


@pytest.mark.parametrize("defect", [pytest.param(one, id=one.id) for one in DEFECTS])
async def test_a_server_with_a_defect_is_never_spoken_to(
    defect: Defect, caplog: pytest.LogCaptureFixture
):
    us = ours()
    facade = us.client()
    async with (
        listening(their_server(us.a.svid())) as good,
        listening(their_server(defect.make(us.a, us.b))) as bad,
    ):
        async with dialled(good.port, facade) as connection:
            assert await connection.echoes()
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            async with dialled(bad.port, facade):
                pass
        async with dialled(good.port, facade) as connection:
            assert await connection.echoes()
        assert bad.peers == []
    reason = defect.why(Role.CLIENT)
    assert refused.value.reason == reason
    assert us.handshakes == [(Role.CLIENT, OK), (Role.CLIENT, reason), (Role.CLIENT, OK)]
    assert _logged_once(caplog, Role.CLIENT, reason)
