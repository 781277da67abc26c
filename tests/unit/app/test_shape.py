"""Series exist at zero for what the settings let occur, and for nothing else."""

from dataclasses import replace

import pytest

from outrider.app.shape import shape_of
from outrider.config.identity_settings import Identity, OidcIssuer
from outrider.config.listener_settings import Listener, Listeners
from outrider.config.settings import Settings
from outrider.config.upstream_settings import Upstream
from outrider.core.vocabulary import ProtocolName

PLAIN = Settings()
IDP = OidcIssuer(issuer="https://idp.test", audience="x")
BEARERS = Listeners(egress=Listener(bearer=True))
DESK = Upstream(url="https://desk.test")
OWN = replace(DESK, direction="ingress")


def test_without_anything_nothing_of_ingress_tokens_or_identity_is_shown() -> None:
    shape = shape_of(PLAIN)
    assert (shape.ingress, shape.source, shape.workload_api, shape.shared) == (False,) * 4
    assert (shape.protocols, shape.tokens) == (frozenset(), frozenset())
    assert shape.engines == {PLAIN.policy.engine}


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        pytest.param(
            {"upstreams": {"desk": DESK, "crm": replace(DESK, protocol="mcp")}},
            "protocols",
            {ProtocolName.HTTP, ProtocolName.MCP},
            id="protocols",
        ),
        pytest.param(
            {"upstreams": {"own": OWN}},
            "ingress",
            True,
            id="ingress",
        ),
        pytest.param(
            {"listeners": BEARERS},
            "tokens",
            {"jwt_svid"},
            id="svid",
        ),
        pytest.param(
            {"identity": Identity(oidc={"idp": IDP})},
            "tokens",
            {"oidc"},
            id="oidc",
        ),
        pytest.param(
            {"identity": Identity(source="workload_api")}, "workload_api", True, id="spire"
        ),
        pytest.param({"identity": Identity(source="files")}, "workload_api", False, id="files"),
        pytest.param(
            {"upstreams": {"a": DESK, "b": replace(DESK, url="http://desk.test")}},
            "tls",
            {"true", "false"},
            id="tls",
        ),
        pytest.param({"identity": Identity(source="files")}, "source", True, id="source"),
        pytest.param(
            {"stores": replace(PLAIN.stores, kind="redis")}, "shared", True, id="shared-store"
        ),
    ],
)
def test_each_feature_brings_its_series(
    changes: dict[str, object], field: str, value: object
) -> None:
    shape = shape_of(replace(PLAIN, **changes))  # type: ignore[arg-type]
    assert getattr(shape, field) == value
