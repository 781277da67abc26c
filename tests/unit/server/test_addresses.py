import ipaddress

import pytest

from outrider.server.addresses import IpClass, ip_class, is_ambiguous_host, literal, may_dial


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", IpClass.PUBLIC),
        ("2606:2800:220:1::1", IpClass.PUBLIC),
        ("127.0.0.1", IpClass.LOOPBACK),
        ("127.255.255.255", IpClass.LOOPBACK),
        ("::1", IpClass.LOOPBACK),
        ("169.254.169.254", IpClass.METADATA),
        ("fd00:ec2::254", IpClass.METADATA),
        ("169.254.1.1", IpClass.LINK_LOCAL),
        ("fe80::1", IpClass.LINK_LOCAL),
        ("10.1.2.3", IpClass.PRIVATE),
        ("172.31.0.1", IpClass.PRIVATE),
        ("172.32.0.1", IpClass.PUBLIC),
        ("192.168.0.1", IpClass.PRIVATE),
        ("fd12::1", IpClass.PRIVATE),
        ("100.64.0.1", IpClass.SHARED),
        ("0.1.2.3", IpClass.UNSPECIFIED),
        ("::", IpClass.UNSPECIFIED),
        ("224.0.0.1", IpClass.MULTICAST),
        ("ff02::1", IpClass.MULTICAST),
        ("::ffff:127.0.0.1", IpClass.TRANSLATED),
        ("::ffff:93.184.216.34", IpClass.TRANSLATED),
        ("::127.0.0.1", IpClass.TRANSLATED),
        ("64:ff9b::7f00:1", IpClass.TRANSLATED),
        ("2002:7f00:1::", IpClass.TRANSLATED),
        ("255.255.255.255", IpClass.RESERVED),
        ("198.18.0.1", IpClass.RESERVED),
    ],
)
def test_every_address_has_a_class(address, kind):
    assert ip_class(address) is kind
    assert may_dial(ipaddress.ip_address(address), ()) is (kind is IpClass.PUBLIC)


def test_listed_networks_may_be_dialled_and_no_others():
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert may_dial(ipaddress.ip_address("10.9.9.9"), networks)
    assert may_dial(ipaddress.ip_address("::1"), networks)
    assert not may_dial(ipaddress.ip_address("127.0.0.1"), networks)
    assert not may_dial(ipaddress.ip_address("::ffff:10.0.0.1"), networks)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f.1", "0x7f000001", "017700000001", "127.1", "1.2.3", "a.", "", "a%b",
     "fe80::1%eth0x", "b\u00fccher.de", "1.2.3.4.5", "a.0x1"],
)  # fmt: skip
def test_hosts_that_may_be_numbers_are_ambiguous(host):
    assert is_ambiguous_host(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "api.example.com", "4chan.org", "a1", "x--1a"]
)
def test_plain_names_and_addresses_are_not(host):
    assert not is_ambiguous_host(host)


def test_only_addresses_are_literals():
    assert literal("10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert literal("010.0.0.1") is None
    assert literal("host") is None
