"""What the settings make of the data plane: who proves nothing to us is looked up with care."""

from pathlib import Path

import pytest

from outrider.app.data_plane import pool_of
from outrider.config.load import Loaded
from outrider.config.settings import Settings
from outrider.config.upstream_settings import Upstream
from outrider.core.errors import UpstreamUnavailableError
from outrider.core.exchange import Outgoing
from outrider.server.wheel import Wheel
from tests.support.builders import FixedClock, a_permit, an_action, an_ask
from tests.support.peers import RecordingEvents


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        pytest.param("http://crm.example:8080", [("crm.example", 8080)], id="without-tls"),
        pytest.param("https://localhost:1", [], id="its-certificate-tells"),
    ],
)
async def test_the_agents_word_for_a_name_leads_no_plain_request_away(url, asked):
    found = []

    async def refusing(host, port):
        found.append((host, port))
        raise OSError("names mean something else than at the start")

    upstream = Upstream(url=url, networks=("127.0.0.0/8",))
    loaded = Loaded(
        settings=Settings(upstreams={"crm": upstream}), base=Path(), source=None, pod_uid=None
    )
    clock = FixedClock()
    wheel = Wheel(clock=clock)
    pool = pool_of(loaded, clock, wheel, RecordingEvents(), unproven=refusing)
    permit = a_permit(an_action(ask=an_ask(upstream="crm")))
    with pytest.raises(UpstreamUnavailableError):
        await pool.send(permit, Outgoing(method="GET", target="/x", headers=(), body=b""))
    pool.close()
    wheel.close()
    assert found == asked
