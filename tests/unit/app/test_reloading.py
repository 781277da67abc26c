"""What a reload may change, and which upstreams stay where they were."""

from pathlib import Path
from typing import Any

import pytest

from outrider.app.reloading import check_reloadable, stamp, unmoved
from outrider.config.load import Loaded, validate
from outrider.core.errors import ConfigError

CRM = {"url": "https://crm.acme.test", "prefix": "/crm"}
EXPECTED = {"spiffe": {"expect": ["spiffe://acme.test/crm"]}}


def settings(**changes: Any) -> Loaded:
    document: Any = {
        "identity": {"source": "files", "files": {"directory": "svid"}},
        "upstreams": {"crm": CRM},
    }
    return Loaded(settings=validate(document | changes), base=Path(), source=None, pod_uid=None)


def test_limits_and_upstreams_may_change() -> None:
    after = settings(
        limits={"in_flight": 7},
        upstreams={"crm": CRM | {"tls": EXPECTED}, "new": CRM | {"prefix": "/n"}},
    )
    check_reloadable(settings(), after)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param(
            {"identity": {"source": "none", "spiffe_id": "spiffe://a.test/x"}},
            "identity.files.directory, identity.source, identity.spiffe_id: cannot",
            id="another-identity",
        ),
        pytest.param(
            {"listeners": {"egress": {"addresses": ["127.0.0.1:1"]}}},
            "listeners.egress.addresses: cannot",
            id="another-port",
        ),
        pytest.param({"profile": "demo"}, "^profile: cannot", id="another-profile"),
        pytest.param(
            {"listeners": {"egress": {"unix": "a.sock", "uids": list(range(9))}}},
            "listeners.egress.addresses, |listeners.egress.uids, listeners.egress.unix: cannot",
            id="a-socket-besides",
        ),
        pytest.param(
            {
                "identity": {
                    "source": "files",
                    "files": {
                        "directory": "svid",
                        "federated": {f"b{n:02}.test": "b" for n in range(20)},
                    },
                }
            },
            r"federated\.b11\.test, 8 more: cannot",
            id="more-than-anybody-reads",
        ),
        pytest.param(
            {"upstreams": {"crm": CRM, "agent": CRM | {"direction": "ingress"}}},
            "direction ingress",
            id="ingress-would-open",
        ),
    ],
)
def test_what_takes_a_restart_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_reloadable(settings(), settings(**changes))


@pytest.mark.parametrize(
    ("crm", "stays"),
    [
        pytest.param(CRM | {"idle_s": 9.0}, True, id="the-same-place"),
        pytest.param(CRM | {"url": "https://other.acme.test"}, False, id="another-place"),
        pytest.param(CRM | {"networks": ["10.0.0.0/8"]}, False, id="other-networks"),
        pytest.param(CRM | {"tls": EXPECTED}, False, id="somebody-else-is-expected"),
        pytest.param(CRM | {"ca_file": None}, True, id="nothing-said-anew"),
    ],
)
def test_an_upstream_stays_where_its_place_and_its_proof_are_the_same(
    crm: dict[str, Any], stays: bool
) -> None:
    assert unmoved(settings(), settings(upstreams={"crm": crm})) == ({"crm"} if stays else set())


def test_a_file_that_is_written_anew_has_another_stamp(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert (stamp(None), stamp(path)) == (None, None)
    path.write_text("one")
    before = stamp(path)
    path.write_text("other")
    assert before not in (None, stamp(path))
