"""Each row of POLICY §1's table that an HTTP answer can stand for."""

import pytest

from outrider.core.ports import Defined, Failed, Meta, Undefined
from outrider.core.vocabulary import Reason
from outrider.policy.opa_reply import Reply, error_codes, provenance_version, read_reply

JSON = b"application/json"


def a_reply(body: bytes, status: int = 200, content_type: bytes = JSON) -> Reply:
    return Reply(status=status, content_type=content_type, body=body)


@pytest.mark.parametrize(
    ("body", "value", "revision"),
    [
        pytest.param(
            b'{"result":{"effect":"allow","revision":"r1"}}\n',
            {"effect": "allow", "revision": "r1"},
            "r1",
            id="a decision that names its revision",
        ),
        pytest.param(b'{"result":false}', False, None, id="false is a value, not nothing"),
        pytest.param(b'{"result":null}', None, None, id="null is a value, not nothing"),
        pytest.param(
            b'{"result":{"revision":""}}', {"revision": ""}, None, id="an empty name is none"
        ),
        pytest.param(
            b'{"result":{"revision":"r1"},"provenance":{"bundles":{"o":{"revision":"r2"}}}}',
            {"revision": "r1"},
            "r2",
            id="what OPA says of itself goes before what a policy says",
        ),
        pytest.param(
            b'{"result":true,"provenance":{"bundles":{"a":{"revision":"1"},"b":{}}}}',
            True,
            None,
            id="of two bundles neither is the one",
        ),
    ],
)
def test_a_result_is_defined(body, value, revision):
    raw = read_reply(a_reply(body), 7)
    assert raw == Defined(value=value, meta=Meta(revision=revision, eval_us=7))


def test_a_200_without_result_is_undefined_and_not_false():
    assert read_reply(a_reply(b"{}\n"), 7) == Undefined(meta=Meta(eval_us=7))


def test_the_decision_id_of_a_log_is_kept():
    raw = read_reply(a_reply(b'{"decision_id":"d1","result":true}'), 0)
    assert isinstance(raw, Defined)
    assert raw.meta.decision_id == "d1"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(a_reply(b"{"), Reason.POLICY_MALFORMED, id="cut"),
        pytest.param(a_reply(b""), Reason.POLICY_MALFORMED, id="empty"),
        pytest.param(a_reply(b"[]"), Reason.POLICY_MALFORMED, id="no object"),
        pytest.param(
            a_reply(b'{"result":false,"result":true}'), Reason.POLICY_MALFORMED, id="twice"
        ),
        pytest.param(
            a_reply(b'{"result":{"effect":"deny","effect":"allow"}}'),
            Reason.POLICY_MALFORMED,
            id="twice inside",
        ),
        pytest.param(a_reply(b'{"result":NaN}'), Reason.POLICY_MALFORMED, id="NaN"),
        pytest.param(
            a_reply(b'{"result":true}', content_type=b"text/html"),
            Reason.POLICY_MALFORMED,
            id="wrong content type",
        ),
        pytest.param(
            a_reply(b'{"result":true}', content_type=b""), Reason.POLICY_MALFORMED, id="untyped"
        ),
        *[
            pytest.param(a_reply(b'{"result":true}', status), Reason.POLICY_ERROR, id=str(status))
            for status in (201, 204, 302, 400, 401, 403, 404, 409, 500)
        ],
        *[
            pytest.param(
                a_reply(b'{"result":true}', status), Reason.POLICY_UNAVAILABLE, id=str(status)
            )
            for status in (429, 502, 503, 504)
        ],
    ],
)
def test_whatever_else_is_a_failure(reply, reason):
    raw = read_reply(reply, 0)
    assert isinstance(raw, Failed)
    assert raw.code is reason


def test_error_codes_are_read_for_the_log_and_bounded():
    body = b'{"code":"internal_error","errors":[{"code":"eval_conflict_error","message":"secret"}]}'
    assert list(error_codes(body)) == ["internal_error", "eval_conflict_error"]
    assert error_codes(b"<html>") == ()
    assert list(error_codes(b'{"code":"a\\nb","errors":[{"code":"' + b"x" * 99 + b'"}]}')) == []
    assert len(error_codes(b'{"errors":[' + b'{"code":"x"},' * 99 + b"{}]}")) == 8
    raw = read_reply(a_reply(body, 500), 0)
    assert isinstance(raw, Failed)
    assert "eval_conflict_error" in raw.detail
    assert "secret" not in raw.detail


def test_the_version_of_opa_is_in_its_provenance():
    assert provenance_version(a_reply(b'{"provenance":{"version":"1.18.0"}}')) == "1.18.0"
    assert provenance_version(a_reply(b"{}")) is None
    assert provenance_version(a_reply(b"<")) is None
