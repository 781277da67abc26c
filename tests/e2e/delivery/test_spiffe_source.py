"""A source that proves a SPIFFE identity, and is shown ours."""

from pathlib import Path
from typing import Any

import pytest

from outrider.core.errors import ConfigError
from tests.e2e.delivery.test_delivery import fetched, keys, packed
from tests.support.bundles import FakeWeb
from tests.support.sidecar_mesh import HOME, a_node, among
from tests.support.spiffe_ca import a_ca
from tests.support.spiffe_wire import their_server

__all__ = ["keys"]

CA = a_ca("a.test")
SOURCE = "spiffe://a.test/policy"


@pytest.mark.parametrize(
    ("path", "expect", "taken"),
    [
        pytest.param("/policy", SOURCE, True, id="the-one-expected"),
        pytest.param("/policy", "spiffe://a.test/other", False, id="another"),
        pytest.param("/policy/x", SOURCE, False, id="one-below"),
    ],
)
async def test_only_the_identity_that_is_expected_delivers(
    tmp_path: Path, path: str, expect: str, taken: bool
) -> None:
    content = await packed(tmp_path, sequence=1, agents=among(f"spiffe://a.test{HOME}"))
    async with FakeWeb(content=content, tls=their_server(CA.svid(path))) as web:
        settings: Any = fetched(web.url, tmp_path, bundle={"expect": [expect]})
        async with a_node(tmp_path / "svid", CA, settings=settings) as node:
            keeper = node.world.sidecar.keeper
            if taken:
                assert keeper.status().sequence == 1
                assert web.seen[0].field("authorization") is None
                return
            assert keeper.status().revision is None
            assert web.seen == []
            assert node.world.sidecar.delivery is not None
            with pytest.raises(
                ConfigError, match=r"certificate is not trusted|could not be reached"
            ):
                await node.world.sidecar.delivery.look()
