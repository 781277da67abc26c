"""Who says where names lead is told by the field."""

import pytest

from outrider.injector.reading import read_pod
from outrider.injector.reasons import DeniedError, Reason
from outrider.injector.resolution import own_names, refuse_names
from tests.support.admission import a_pod


@pytest.mark.parametrize(
    "option",
    [
        pytest.param({"name": "ndots", "value": "\u0665"}, id="digit-of-another-script"),
        pytest.param({"name": "ndots", "value": 5}, id="number"),
        pytest.param({"name": "NDOTS", "value": "9"}, id="capitals"),
        pytest.param({"name": "ndots", "value": "05"}, id="zero-before"),
        pytest.param({"name": "ndots", "value": "5\n"}, id="line-break"),
        pytest.param({"value": "5"}, id="no-name"),
        pytest.param({}, id="nothing"),
    ],
)
def test_an_option_that_is_not_plain_is_refused(option: object) -> None:
    pod = read_pod(a_pod(dnsConfig={"options": [option]}))
    with pytest.raises(DeniedError, match=r"^spec\.dnsConfig\.options") as denied:
        refuse_names(pod)
    assert denied.value.reason is Reason.DNS_UNKNOWN


def test_every_way_is_told() -> None:
    pod = read_pod(
        a_pod(
            hostAliases=[{"ip": "192.0.2.7", "hostnames": ["api.example"]}, {"ip": "192.0.2.8"}],
            dnsConfig={"searches": ["evil.example"], "options": [{"name": "ndots", "value": "9"}]},
        )
    )
    assert list(own_names(pod)) == [
        "spec.hostAliases says where api.example is",
        "spec.hostAliases says where a name is",
        "spec.dnsConfig.searches looks names up below evil.example",
        "spec.dnsConfig.options ndots is 9, not 0 to 5: names are completed",
    ]


def test_a_pod_that_says_nothing_passes() -> None:
    options = [{"name": name, "value": "0"} for name in ("ndots", "x")]
    refuse_names(read_pod(a_pod(dnsConfig={"options": options})))
