import pytest

from outrider.core.capture import CaptureMode, Meant, port_of


@pytest.mark.parametrize(
    ("address", "port", "is_probe"),
    [
        pytest.param("192.0.2.1", 9, True, id="v4"),
        pytest.param("2001:db8::1", 9, True, id="v6"),
        pytest.param("192.0.2.1", 80, False, id="another-port"),
        pytest.param("192.0.2.2", 9, False, id="another-address"),
        pytest.param("127.0.0.1", 9, False, id="ours"),
    ],
)
def test_only_our_own_probes_go_there(address, port, is_probe):
    assert Meant(address=address, port=port).is_probe is is_probe


@pytest.mark.parametrize(
    ("authority", "port"),
    [
        pytest.param("api.example.com", 80, id="none"),
        pytest.param("api.example.com:8080", 8080, id="named"),
        pytest.param("[2001:db8::7]", 80, id="v6"),
        pytest.param("[2001:db8::7]:8443", 8443, id="v6-named"),
    ],
)
def test_the_port_of_an_authority(authority, port):
    assert port_of(authority, 80) == port


def test_the_modes_are_those_that_settings_and_pods_name():
    assert [mode.value for mode in CaptureMode] == ["transparent", "enforce-drop", "cooperative"]
