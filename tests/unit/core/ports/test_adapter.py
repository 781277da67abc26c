"""Ports of adapters are small; a body is read strictly, and once."""

import pytest

from outrider.core.errors import MalformedError
from outrider.core.ports import Document, adapter
from outrider.core.strict_json import JsonLimits
from tests.support.builders import a_head, an_inbound
from tests.support.ports import breaches

LIMITS = JsonLimits()


def test_the_ports_keep_the_law():
    assert breaches(adapter) == []


def test_a_body_is_read_strictly():
    assert an_inbound(a_head(), b'{"a":1}').json(LIMITS) == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"a":1,"a":2}', id="a key twice"),
    ],
)
def test_a_body_that_cannot_be_read_whole_is_refused(body: bytes | None):
    with pytest.raises(MalformedError):
        an_inbound(a_head(), body).json(LIMITS)


def test_what_was_parsed_beforehand_is_not_read_again():
    inbound = an_inbound(a_head(), b"no json", document=Document(value=[1]))
    assert inbound.json(LIMITS) == [1]


def test_the_fault_of_what_was_parsed_beforehand_is_kept():
    fault = MalformedError("depth")
    inbound = an_inbound(a_head(), b"{}", document=Document(value=None, fault=fault))
    with pytest.raises(MalformedError) as caught:
        inbound.json(LIMITS)
    assert caught.value is fault
