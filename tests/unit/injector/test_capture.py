"""The ruleset: its whole text by mode, and what never gets into it."""

import pytest

from outrider.core.capture import CaptureMode
from outrider.injector.capture import nameserver, port_range, ruleset, subnet

TRANSPARENT = """\
table inet outrider
delete table inet outrider
table inet outrider {
  chain redirect_out {
    type nat hook output priority -100; policy accept;
    meta skuid 2102 return
    oifname "lo" return
    ip daddr { 10.96.0.10 } tcp dport 53 return
    ip6 daddr { fd00::a } tcp dport 53 return
    meta l4proto tcp redirect to :15001
  }
  chain refuse_out {
    type filter hook output priority 0; policy drop;
    meta skuid 2102 accept
    oifname "lo" ip saddr { 10.96.0.10 } drop
    oifname "lo" ip6 saddr { fd00::a } drop
    oifname "lo" accept
    ct status dnat accept
    ip daddr { 10.96.0.10 } udp dport 53 accept
    ip daddr { 10.96.0.10 } tcp dport 53 accept
    ip6 daddr { fd00::a } udp dport 53 accept
    ip6 daddr { fd00::a } tcp dport 53 accept
    ct direction original ct state established meta skuid != 2102 reject with icmpx admin-prohibited
    ct state established,related accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
    reject with icmpx admin-prohibited
  }
}
"""


def test_transparent_redirects_and_refuses_the_rest() -> None:
    text = ruleset(CaptureMode.TRANSPARENT, nameservers=("fd00::a", "10.96.0.10"))
    assert text == TRANSPARENT


def test_enforce_drop_refuses_and_redirects_nothing() -> None:
    text = ruleset(CaptureMode.ENFORCE_DROP, nameservers=("10.96.0.10",))
    assert "redirect" not in text
    assert "dnat" not in text
    assert text.count("chain ") == 1
    assert "policy drop" in text
    assert "reject with icmpx admin-prohibited" in text


@pytest.mark.parametrize("mode", [CaptureMode.TRANSPARENT, CaptureMode.ENFORCE_DROP])
def test_on_loopback_nobody_speaks_as_a_dns_server_outside(mode: CaptureMode) -> None:
    text = ruleset(mode, nameservers=("10.96.0.10", "127.0.0.1", "10.96.0.11", "::1"))
    drop = '  oifname "lo" ip saddr { 10.96.0.10, 10.96.0.11 } drop\n'
    assert text.count(" drop\n") == 1  # a server on loopback may answer there
    assert text.index(f"meta skuid 2102 accept\n  {drop}") < text.index('  oifname "lo" accept')


def test_cooperative_has_no_rules() -> None:
    assert ruleset(CaptureMode.COOPERATIVE, nameservers=()) == ""


def test_the_order_of_what_is_given_does_not_matter() -> None:
    one, other = (
        ruleset(CaptureMode.TRANSPARENT, nameservers=names, skip_ports=ports)
        for names, ports in (
            (("1.1.1.1", "9.9.9.9"), ("443", "22")),
            (("9.9.9.9", "1.1.1.1"), ("22", "443", "22-22")),
        )
    )
    assert one == other


def test_what_is_skipped_stands_in_both_chains_by_its_own_terms() -> None:
    text = ruleset(
        CaptureMode.TRANSPARENT,
        nameservers=("10.0.0.1",),
        skip_ports=("5432", "9000-9010"),
        skip_subnets=("192.0.2.7/24", "2001:db8::/32"),
    )
    for match in (
        "tcp dport 5432",
        "tcp dport 9000-9010",
        "ip daddr 192.0.2.0/24",
        "ip6 daddr 2001:db8::/32",
    ):
        assert text.count(f"{match} return\n") == 1
        assert text.count(f"{match} accept\n") == 1


def test_uid_nought_is_never_let_out() -> None:
    for mode in CaptureMode:
        assert "skuid 0" not in ruleset(mode, nameservers=("10.0.0.1",))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("10.0.0.1 } accept; #", id="nft-words"),
        pytest.param("fe80::1%eth0", id="zone"),
        pytest.param("fe80::1%eth0 accept", id="zone-with-words"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("10.0.0.0/8", id="network"),
        pytest.param("", id="empty"),
        pytest.param("010.0.0.1", id="octal"),
    ],
)
def test_what_is_no_dns_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        nameserver(text)


@pytest.mark.parametrize("text", ["0", "65536", "10-9", "1-", "http", "1,2", "٢", "22 accept", ""])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|between"):
        port_range(text)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "fe80::%a/64", "10.0.0.0/33", "x", ""])
def test_what_is_no_subnet_to_skip_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        subnet(text)


def test_addresses_ports_and_subnets_are_bounded() -> None:
    many = [f"10.0.0.{host}" for host in range(1, 70)]
    with pytest.raises(ValueError, match="more than 16 DNS servers"):
        ruleset(CaptureMode.TRANSPARENT, nameservers=many)
    with pytest.raises(ValueError, match="more than 64 subnets"):
        ruleset(CaptureMode.TRANSPARENT, nameservers=(), skip_subnets=many)
    with pytest.raises(ValueError, match="more than 64 ports"):
        ruleset(CaptureMode.TRANSPARENT, nameservers=(), skip_ports=map(str, range(1, 70)))


def test_without_a_dns_server_none_is_let_through() -> None:
    assert "53" not in ruleset(CaptureMode.ENFORCE_DROP, nameservers=())
