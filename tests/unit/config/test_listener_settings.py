"""Listeners are open to nobody but this machine, the proven, and who reads metrics."""

from outrider.config.listener_settings import Listener
from outrider.config.settings import Settings


def test_defaults_listen_to_this_machine_alone_but_for_proven_callers_and_the_metrics_page() -> (
    None
):
    listeners = Settings().listeners
    assert listeners.egress.addresses == ("127.0.0.1:15001", "[::1]:15001")
    assert listeners.control.addresses == ("127.0.0.1:15000",)
    assert listeners.ingress.addresses == ("0.0.0.0:15006",)
    assert listeners.telemetry.addresses == ("0.0.0.0:15020",)
    assert not listeners.egress.bearer


def test_a_socket_is_for_our_own_uid_and_group_alone_unless_said():
    listener = Listener()
    assert (listener.addresses, listener.unix, listener.uids) == ((), None, ())
    assert listener.unix_mode == 0o660
