"""Each kind of value takes its range whole, and nothing beyond it."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from outrider.config.values import Bytes, Name, Seconds


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Bytes, 1024),
        (Bytes, 1 << 30),
        (Seconds, 0.01),
        (Seconds, 86_400),
        (Name, "a"),
        (Name, "0crm_eu-1"),
        (Name, "a" * 64),
    ],
)
def test_what_is_in_range_is_taken(kind: Any, value: object):
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Bytes, 1023),
        (Bytes, (1 << 30) + 1),
        (Seconds, 0),
        (Seconds, 86_401),
        (Name, ""),
        (Name, "CRM"),
        (Name, "-crm"),
        (Name, "crm.eu"),
        (Name, "crm\n"),
        (Name, "a" * 65),
    ],
)
def test_what_is_beyond_it_is_not(kind: Any, value: object):
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)
