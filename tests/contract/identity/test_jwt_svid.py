"""conf_JV, conf_JB, conf_JF and conf_ID: JWT-SVIDs judged, their bundles heard, and fetched."""

from typing import Any, Final

import grpc
import pytest

from outrider.identity.workload_proto import FETCH_JWT_BUNDLES, FETCH_JWT_SVID, decoded
from tests.contract.identity.stage import AUDIENCE, AWAY, HOME, OWN_ID, Said, Stage, staged, token
from tests.contract.identity.tokens import TOKENS, Token, keys_with
from tests.support.jwt import SigningKey, a_key

# --- JV and ID: tokens ---


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"conf_{name}") for name, row in TOKENS.items()]
)
async def test_a_token_is_taken_under_its_subject_or_refused(row: Token) -> None:
    async with staged() as stage:
        keys = keys_with(stage.key)
        stage.publish(keys.bundles())
        # B's own token: the bundles are there, the one with a key of an unknown type among them
        await stage.until_taken(token(keys.away, sub=f"{AWAY}/control"))
        await check_taken(stage, token(keys.main, sub=f"{HOME}/control"), f"{HOME}/control")
        judged = row.made(keys)
        if row.spiffe_id is None:
            await check_refused(stage, judged)
        else:
            await check_taken(stage, judged, row.spiffe_id)


async def check_taken(stage: Stage, judged: str, spiffe_id: str) -> None:
    said = await stage.validate(judged)
    assert (said.status, said.body.get("spiffe_id")) == (200, spiffe_id), said


async def check_refused(stage: Stage, judged: str) -> None:
    """Rejected, which an error of the harness is not."""
    said = await stage.validate(judged)
    assert (said.status, said.body["status"]) == (422, "rejected"), said


# --- JB: bundles ---


def of(stage: Stage, key: SigningKey, **changes: Any) -> str:
    return token(key, sub=f"{HOME}/jb", **changes)


async def test_conf_JB_1_a_key_that_is_added_is_used() -> None:
    async with staged() as stage:
        await stage.until_taken(of(stage, stage.key))
        added = a_key(kid="added")
        await check_refused(stage, of(stage, added))
        stage.publish({HOME: [stage.key.jwk(), added.jwk()]})
        await stage.until_taken(of(stage, added))


async def test_conf_JB_2_a_key_that_is_gone_counts_no_more() -> None:
    async with staged() as stage:
        gone, barrier = a_key(kid="gone"), a_key(kid="barrier")
        stage.publish({HOME: [stage.key.jwk(), gone.jwk()]})
        await stage.until_taken(of(stage, gone))
        stage.publish({HOME: [stage.key.jwk(), barrier.jwk()]})
        await stage.until_taken(of(stage, barrier))
        await check_refused(stage, of(stage, gone))


async def test_conf_JB_3_a_domain_whose_bundle_is_gone_counts_no_more() -> None:
    async with staged() as stage:
        away, barrier = a_key(kid="away"), a_key(kid="barrier")
        theirs = token(away, sub=f"{AWAY}/jb-3")
        stage.publish({HOME: [stage.key.jwk()], AWAY: [away.jwk()]})
        await stage.until_taken(theirs)
        stage.publish({HOME: [stage.key.jwk(), barrier.jwk()]})
        await stage.until_taken(of(stage, barrier))
        await check_refused(stage, theirs)


async def test_conf_JB_4_the_key_is_chosen_by_its_kid() -> None:
    async with staged() as stage:
        one, two, three = (a_key(kid=kid) for kid in ("one", "two", "three"))
        stage.publish({HOME: [key.jwk() for key in (one, two, three)]})
        await stage.until_taken(of(stage, three))
        await check_taken(stage, of(stage, two), f"{HOME}/jb")
        await check_refused(stage, of(stage, two, header={"kid": "one"}))


USES: Final = [
    pytest.param("x509-svid", id="conf_JB-5/x509-svid-use"),
    pytest.param(
        None,
        id="conf_JB-5/missing-use",
        marks=pytest.mark.skip(
            reason="optional, and contrary to SPIRE: its Workload API gives keys without `use`"
        ),
    ),
]


@pytest.mark.parametrize("use", USES)
async def test_a_key_for_something_else_is_passed_over(use: str | None) -> None:
    async with staged() as stage:
        await stage.until_taken(of(stage, stage.key))
        other, barrier = a_key(kid="other"), a_key(kid="barrier")
        stage.publish({HOME: [stage.key.jwk(), other.jwk(use=use), barrier.jwk()]})
        await stage.until_taken(of(stage, barrier))
        await check_refused(stage, of(stage, other))


async def test_conf_JB_6_a_key_of_an_unknown_type_costs_no_other() -> None:
    async with staged() as stage:
        await stage.until_taken(of(stage, stage.key))
        added = a_key(kid="added")
        unknown = {"kty": "UNHEARD-OF", "use": "jwt-svid", "kid": "unknown", "k": "AQAB"}
        stage.publish({HOME: [stage.key.jwk(), unknown, added.jwk()]})
        await stage.until_taken(of(stage, added))
        await check_taken(stage, of(stage, stage.key), f"{HOME}/jb")


async def test_conf_JB_7_a_bundle_without_keys_trusts_nothing() -> None:
    async with staged() as stage:
        await stage.until_taken(of(stage, stage.key))
        away = a_key(kid="away")
        stage.publish({HOME: [], AWAY: [away.jwk()]})
        await stage.until_taken(token(away, sub=f"{AWAY}/jb-7"))
        await check_refused(stage, of(stage, stage.key))


async def test_conf_JB_8_a_federated_domain_is_judged_by_its_own_bundle() -> None:
    async with staged() as stage:
        away = a_key(kid="away")
        stage.publish({HOME: [stage.key.jwk()], AWAY: [away.jwk()]})
        await stage.until_taken(token(away, sub=f"{AWAY}/jb-8"))
        await check_taken(stage, token(away, sub=f"{AWAY}/jb-8"), f"{AWAY}/jb-8")
        await check_refused(stage, token(away, sub=f"{HOME}/jb-8"))
        assert stage.agent.opened(FETCH_JWT_BUNDLES) == 1


# --- JF: fetching ---


def minting(stage: Stage, *ids: str) -> list[str]:
    """Have the agent give a token to each of `ids`, whatever is asked; what it gave."""
    given: list[str] = []

    def mint(audience: tuple[str, ...], _: str) -> list[tuple[str, str]]:
        made = [(name, token(stage.key, sub=name, aud=list(audience))) for name in ids]
        given.extend(text for _, text in made)
        return made

    stage.agent.mint = mint
    return given


def asked(stage: Stage) -> list[tuple[list[str], str]]:
    """Audience and SPIFFE ID of every call that was made."""
    calls = [call for call in stage.agent.requests if call.method == FETCH_JWT_SVID]
    requests = [decoded("JWTSVIDRequest", call.body) for call in calls]
    return [(list(request.audience), request.spiffe_id) for request in requests]


def tokens_in(said: Said) -> list[str]:
    assert said.status == 200, said
    return [svid["token"] for svid in said.body["svids"]]


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param((AUDIENCE,), id="conf_JF-1"),
        pytest.param((AUDIENCE, f"{HOME}/backend", "other"), id="conf_JF-2"),
    ],
)
async def test_a_token_is_fetched_for_the_audience_that_was_asked(
    audience: tuple[str, ...],
) -> None:
    async with staged() as stage:
        await stage.until_taken(token(stage.key))
        given = minting(stage, OWN_ID)
        assert tokens_in(await stage.fetch(*audience)) == given
        assert [sorted(names) for names, _ in asked(stage)] == [sorted(audience)]


async def test_conf_JF_3_the_identity_that_was_asked_is_passed_on() -> None:
    """We have one identity: another's token is neither asked for nor given."""
    async with staged() as stage:
        await stage.until_taken(token(stage.key))
        given = minting(stage, f"{HOME}/jf-3-other", OWN_ID)
        assert tokens_in(await stage.fetch(AUDIENCE, spiffe_id=OWN_ID)) == given[1:]
        assert (await stage.fetch(AUDIENCE, spiffe_id=f"{HOME}/jf-3-other")).status == 500
        assert asked(stage) == [([AUDIENCE], OWN_ID)]


async def test_conf_JF_4_who_is_denied_gets_no_token_of_before() -> None:
    """A token is kept to half of its life; the first denial ends that for every audience."""
    async with staged() as stage:
        await stage.until_taken(token(stage.key))
        given = minting(stage, OWN_ID)
        assert tokens_in(await stage.fetch(AUDIENCE)) == given
        stage.agent.mint = grpc.StatusCode.PERMISSION_DENIED
        assert (await stage.fetch("other")).status == 500
        assert (await stage.fetch(AUDIENCE)).status == 500
        assert [names for names, _ in asked(stage)] == [[AUDIENCE], ["other"], [AUDIENCE]]
