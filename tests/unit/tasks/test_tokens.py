"""Task tokens: what they say, and every way in which one is none (GOVERNANCE §2)."""

from dataclasses import replace
from typing import Any

import pytest

from outrider.tasks.task import Principal, Task
from outrider.tasks.tokens import (
    CACHED,
    TYPE,
    TaskTokens,
    TokenMismatchError,
    looks_like_token,
    same_id,
)
from tests.support.builders import AGENT, NOW_UNIX_S, FixedClock, a_grant
from tests.support.tasks import ID, OTHER, PlainSigner, a_registered_task


def made(**changes: Any) -> tuple[TaskTokens, PlainSigner, str]:
    signer = PlainSigner()
    tokens = TaskTokens(signer=signer, trust_domain=lambda: "acme.test", clock=FixedClock())
    return tokens, signer, tokens.make(a_registered_task(**changes))


def check(tokens: TaskTokens, token: str, task: Task) -> None:
    tokens.name_in(token)
    tokens.check(token, task)


def cause(tokens: TaskTokens, token: str, task: Task | None = None) -> str | None:
    with pytest.raises(TokenMismatchError) as refusal:
        check(tokens, token, task or a_registered_task())
    assert refusal.value.detail == "not a token of this task"
    return refusal.value.cause


def test_a_token_says_whose_it_is_of_what_and_until_when() -> None:
    tokens, signer, token = made()
    claims = signer.signed[token]
    assert (claims["iss"], claims["sub"], claims["aud"]) == (AGENT, AGENT, "acme.test")
    assert (claims["txn"], claims["principal"], claims["grant_revision"]) == (
        ID,
        "oidc:alice@corp",
        1,
    )
    assert (claims["iat"], claims["exp"]) == (int(NOW_UNIX_S), int(NOW_UNIX_S) + 3600)
    assert TYPE == "outrider-task+jwt"
    assert tokens.name_in(token) == ID
    tokens.check(token, a_registered_task())


@pytest.mark.control("TS-04")
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"agent": OTHER}, "token_sub", id="another-agent"),
        pytest.param({"id": "tsk_2"}, "token_txn", id="another-task"),
        pytest.param({"purpose_digest": "sha256:x"}, "token_purpose_digest", id="purpose-swapped"),
        pytest.param(
            {"principal": Principal(id="oidc:eve@corp")}, "token_principal", id="principal-swapped"
        ),
        pytest.param(
            {"grant": a_grant(effects=["read"])}, "token_grant_digest", id="grant-swapped"
        ),
        pytest.param({"grant_revision": 2}, "token_grant_revision", id="older-revision"),
        pytest.param({"grant_revision": 0}, "token_grant_revision", id="newer-revision"),
    ],
)
def test_a_token_that_says_another_thing_than_the_store_is_none(
    changes: dict[str, Any], named: str
) -> None:
    tokens, _, token = made()
    assert cause(tokens, token, replace(a_registered_task(), **changes)) == named


@pytest.mark.control("TS-04")
def test_one_flipped_byte_makes_another_token() -> None:
    tokens, _, token = made()
    assert cause(tokens, token.replace("0", "1")) == "token_signature"


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        pytest.param({"exp": int(NOW_UNIX_S)}, "token_expired", id="expired"),
        pytest.param({"exp": None}, "token_times", id="no-end"),
        pytest.param({"exp": "later"}, "token_times", id="no-time"),
        pytest.param({"iat": 1.5}, "token_times", id="no-whole-time"),
        pytest.param({"aud": "other.test"}, "token_audience", id="another-domain"),
        pytest.param({"aud": ["acme.test"]}, "token_audience", id="a-list"),
        pytest.param({"txn": 1}, "token_txn", id="no-task"),
        pytest.param({"sub": None}, "token_sub", id="nobodys"),
    ],
)
def test_claims_that_do_not_hold_now_are_refused(claims: dict[str, Any], named: str) -> None:
    tokens, signer, token = made()
    signer.signed[token] |= claims
    assert cause(tokens, token) == named


def test_a_claim_that_is_missing_is_not_null() -> None:
    tokens, signer, token = made(principal=Principal())
    del signer.signed[token]["principal"]
    task = a_registered_task(principal=Principal())
    assert cause(tokens, token, task) == "token_principal"


def test_a_signature_is_checked_once_and_the_memory_of_it_is_bounded() -> None:
    tokens, signer, token = made()
    for _ in range(5):
        tokens.name_in(token)
    assert signer.reads == 1
    for _ in range(CACHED):
        tokens.name_in(tokens.make(a_registered_task()))
    tokens.name_in(token)
    assert signer.reads == CACHED + 2


@pytest.mark.parametrize(
    ("name", "is_token"),
    [("a.b.c", True), ("tsk_1", False), ("a.b", False), ("a.b.c.d", False), ("", False)],
)
def test_a_token_has_three_parts(name: str, *, is_token: bool) -> None:
    assert looks_like_token(name) is is_token


def test_ids_are_compared_whole() -> None:
    assert same_id(ID, ID)
    assert not same_id(ID, ID[:-1])
    assert not same_id("\ud800", ID)
