"""A bundle on a web server: what counts as unchanged, and what is never followed."""

from dataclasses import dataclass, field

import pytest

from outrider.core.secret import Secret
from outrider.policy.sources.origin import Fetched, FetchError
from outrider.policy.sources.web import WebOrigin, tag_of
from outrider.policy.sources.wire import Got

URL = "https://p.test/b"


@dataclass
class FixedWire:
    answer: Got
    asked: list = field(default_factory=list)

    async def get(self, url, fields, limit_bytes):
        self.asked.append((url, dict(fields), limit_bytes))
        return self.answer


def origin(answer, token=None):
    async def shown():
        return token

    wire = FixedWire(answer)
    return WebOrigin(url=URL, wire=wire, token=shown, limit_bytes=99), wire


async def test_a_bundle_comes_with_its_tag():
    web, wire = origin(Got(status=200, fields={"etag": '"1"'}, body=b"x"), Secret("t0k"))
    assert await web.fetch("") == Fetched(content=b"x", etag='"1"')
    ((url, fields, limit),) = wire.asked
    assert (url, limit, fields["Authorization"]) == (URL, 99, "Bearer t0k")
    assert "If-None-Match" not in fields


async def test_unchanged_is_what_was_asked_for():
    web, wire = origin(Got(status=304, fields={}))
    assert await web.fetch('"1"') is None
    assert wire.asked[0][1]["If-None-Match"] == '"1"'
    with pytest.raises(FetchError, match="304"):
        await web.fetch("")  # nothing was named that it could be unchanged from


@pytest.mark.parametrize("status", [301, 302, 307, 308, 300])
async def test_a_redirect_is_not_followed(status):
    web, wire = origin(Got(status=status, fields={"location": "https://evil.test/"}))
    with pytest.raises(FetchError, match="not followed"):
        await web.fetch("")
    assert len(wire.asked) == 1


@pytest.mark.parametrize("status", [204, 206, 401, 403, 404, 429, 500, 503])
async def test_any_other_answer_is_a_failure(status):
    with pytest.raises(FetchError, match=f"answered {status}"):
        await origin(Got(status=status, fields={}, body=b"x"))[0].fetch('"1"')


@pytest.mark.parametrize("said", ["a\r\nb", "é", "x" * 1025])
def test_a_tag_that_cannot_be_sent_back_is_none(said):
    assert tag_of(said) == ""
