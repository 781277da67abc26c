"""Ports of credentials are small, and a lease does not print what it holds."""

from outrider.core.ports import Lease, credentials
from outrider.core.secret import Secret
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(credentials) == []


def test_a_lease_does_not_print_what_it_holds():
    lease = Lease(
        id="l-1",
        provider="file",
        fingerprint="f",
        expires_unix_s=None,
        headers=(("authorization", Secret("hunter2")),),
    )
    assert "hunter2" not in f"{lease} {lease!r}"
