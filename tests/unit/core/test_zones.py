from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.core.zones import Zones, parse_zones

ZONES = parse_zones(
    {
        "domains": {
            "acme.test": "internal",
            "*.acme.test": "internal",
            "*.dmz.acme.test": "dmz",
            "www.dmz.acme.test": "external",
        },
        "cidrs": {"10.0.0.0/8": "internal", "10.9.0.0/16": "lab", "::1/128": "internal"},
    }
)


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("acme.test", "internal"),
        ("A.ACME.test", "internal"),
        ("x.dmz.acme.test", "dmz"),
        ("www.dmz.acme.test", "external"),
        ("evilacme.test", "external"),
        ("acme.test.evil.example", "external"),
        ("10.1.2.3", "internal"),
        ("10.9.2.3", "lab"),
        ("11.1.2.3", "external"),
        ("::1", "internal"),
        ("0:0:0:0:0:0:0:1", "internal"),
        ("::ffff:10.1.2.3", "internal"),
        ("fe80::1", "external"),
        ("10.1", "external"),
        ("167837955", "external"),
        (None, "external"),
    ],
)
def test_a_host_lies_in_the_zone_of_the_longest_line(host: str | None, zone: str) -> None:
    assert ZONES.zone_of(host) == zone


def test_without_lines_everything_is_external() -> None:
    assert parse_zones(None) == Zones()
    assert Zones().zone_of("acme.test") == "external"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "zones: give a map"),
        ({"hosts": {}}, "zones: give a map"),
        ({"domains": []}, "zones.domains: give a map"),
        ({"domains": {"a b": "x"}}, "zones.domains: 'a b'"),
        ({"domains": {"a.test": ""}}, "zones.domains.a.test is ''"),
        ({"cidrs": {"10.0.0.1/8": "x"}}, "zones.cidrs: 10.0.0.1/8"),
        ({"cidrs": {"10.0.0.0/8": None}}, "zones.cidrs.10.0.0.0/8 is None"),
    ],
)
def test_zones_that_cannot_be_used_name_the_line(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_zones(document)
    assert named in str(refused.value)
