"""JWT-SVIDs of our own: asked for once, ours or refused, kept to half of their life."""

import asyncio
import time

import grpc
import pytest

from outrider.core.errors import CredentialUnavailableError
from outrider.identity import workload_proto as proto
from outrider.identity.bundles import Origin, parse_bundle
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.workload_jwt import JwtSvids
from tests.support import jwt
from tests.support.builders import FixedClock
from tests.support.identity import RecordingIdentityEvents
from tests.support.scripted_calls import ended
from tests.support.spiffe_ca import Trust, a_ca, bundle_of
from tests.support.virtual import in_virtual_time, now_s

CA, KEY = a_ca("a.test"), jwt.a_key()
OURS, AUDIENCE = "spiffe://a.test/planner", "spiffe://b.test/crm"
LIFE_S = 300


class _Agent:
    """The unary call, answered by `answers` in turn and then by the last for ever."""

    def __init__(self, *answers):
        self._answers = answers
        self.requests = []
        self.gate = None

    async def __call__(self, body):
        self.requests.append(proto.decoded("JWTSVIDRequest", body))
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            return await answer()
        return answer


class _Setting:
    def __init__(self, *answers, bundles=True):
        self.clock = FixedClock(now_unix_s=time.time())
        self.events = RecordingIdentityEvents()
        self.keeper = IdentityKeeper(clock=self.clock, events=self.events)
        self.agent = _Agent(*(answers or (self.answer(),)))
        self.tokens = JwtSvids(
            ask=self.agent, keeper=self.keeper, clock=self.clock, events=self.events
        )
        Trust(own=CA.own(), bundles=[bundle_of(CA)]).give(self.keeper)
        if bundles:
            document = jwt.a_bundle(KEY.jwk(use=None))
            self.keeper.take_jwt({"a.test": parse_bundle(document, "a.test", Origin.WORKLOAD_API)})

    def token(self, key=KEY, **changes):
        return _token(self.clock.unix_s(), key, **changes)

    def answer(self, **changes):
        return _answer((OURS, self.token(**changes)))


def _token(now, key=KEY, header=None, **changes):
    usual = {"sub": OURS, "aud": [AUDIENCE], "iat": int(now), "exp": int(now) + LIFE_S}
    return jwt.mint(
        key,
        {name: value for name, value in (usual | changes).items() if value is not None},
        header=header,
    )


def _answer(*svids):
    return proto.encoded(
        "JWTSVIDResponse", svids=[{"spiffe_id": name, "svid": token} for name, token in svids]
    )


# --- what is taken ---


@pytest.mark.parametrize("bundles", [True, False], ids=["keys-known", "keys-unknown"])
async def test_a_token_for_the_audience_under_our_id(bundles):
    setting = _Setting(bundles=bundles)
    svid = await setting.tokens.fetch(AUDIENCE)
    assert (svid.spiffe_id.text, svid.audience) == (OURS, {AUDIENCE})
    assert svid.expires_unix_s == int(setting.clock.unix_s()) + LIFE_S
    assert svid.token.reveal().count(b".") == 2
    assert [(list(each.audience), each.spiffe_id) for each in setting.agent.requests] == [
        ([AUDIENCE], OURS)
    ]
    assert setting.events.fetches == {"ok": 1}


async def test_a_token_does_not_print():
    svid = await _Setting().tokens.fetch(AUDIENCE)
    assert svid.token.reveal().decode() not in repr(svid)


async def test_our_token_is_found_among_others():
    now = time.time()
    other = _token(now, sub="spiffe://a.test/other")
    setting = _Setting(_answer(("spiffe://a.test/other", other), (OURS, _token(now))))
    assert (await setting.tokens.fetch(AUDIENCE)).spiffe_id.text == OURS


# --- what is refused ---


REFUSED = {
    "no-message": lambda now: b"\xff\xff",
    "no-svid": lambda now: _answer(),
    "of-another-identity-alone": lambda now: _answer(
        ("spiffe://a.test/other", _token(now, sub="spiffe://a.test/other"))
    ),
    "empty-token": lambda now: _answer((OURS, "")),
    "no-token": lambda now: _answer((OURS, "nonsense")),
    "another-subject-inside": lambda now: _answer((OURS, _token(now, sub="spiffe://a.test/x"))),
    "another-audience": lambda now: _answer((OURS, _token(now, aud=["spiffe://c.test/x"]))),
    "no-expiry": lambda now: _answer((OURS, _token(now, exp=None))),
    "expired": lambda now: _answer((OURS, _token(now, exp=int(now) - 1))),
    "expired-long-ago": lambda now: _answer((OURS, _token(now, exp=int(now) - 100))),
    "too-long": lambda now: _answer((OURS, _token(now) + "A" * 8192)),
}


@pytest.mark.parametrize("make", list(REFUSED.values()), ids=list(REFUSED))
@pytest.mark.parametrize("bundles", [True, False], ids=["keys-known", "keys-unknown"])
async def test_anything_else_is_refused_and_not_kept(make, bundles):
    setting = _Setting(make(time.time()), bundles=bundles)
    for tries in (1, 2):
        with pytest.raises(CredentialUnavailableError) as raised:
            await setting.tokens.fetch(AUDIENCE)
        assert raised.value.cause == "failed"
        assert len(setting.agent.requests) == tries
    assert setting.events.fetches == {"failed": 2}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"key": jwt.a_key()}, id="signed-by-another-key"),
        pytest.param({"header": {"kid": "other"}}, id="of-an-unknown-key"),
        pytest.param({"header": {"jku": "https://x.test"}}, id="J-2-header"),
    ],
)
async def test_where_keys_are_known_the_signature_decides(changes):
    setting = _Setting()
    setting.agent._answers = (setting.answer(**changes),)
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch(AUDIENCE)


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param((), id="nobody"),
        pytest.param(("",), id="empty"),
        pytest.param((AUDIENCE, ""), id="one-of-two-empty"),
        pytest.param(("a" * 2049,), id="too-long"),
        pytest.param(tuple(map(str, range(17))), id="too-many"),
    ],
)
async def test_an_audience_out_of_bounds_is_not_asked_for(audience):
    setting = _Setting()
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch(*audience)
    assert setting.agent.requests == []


@pytest.mark.parametrize("gone", ["redacted", "expired", "never"])
async def test_without_an_svid_of_ours_nothing_is_fetched_nor_given_from_what_is_kept(gone):
    setting = _Setting()
    if gone == "never":
        setting.keeper = IdentityKeeper(clock=setting.clock, events=setting.events)
        setting.tokens._keeper = setting.keeper
    else:
        await setting.tokens.fetch(AUDIENCE)
        if gone == "redacted":
            setting.keeper.redact()
        else:
            setting.clock.pass_s(4000)
    asked = len(setting.agent.requests)
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch(AUDIENCE)
    assert len(setting.agent.requests) == asked


# --- the agent's refusals ---


@pytest.mark.parametrize(
    ("code", "result"),
    [
        pytest.param(grpc.StatusCode.PERMISSION_DENIED, "denied", id="denied"),
        pytest.param(grpc.StatusCode.UNAVAILABLE, "failed", id="unavailable"),
        pytest.param(grpc.StatusCode.INVALID_ARGUMENT, "failed", id="invalid-argument"),
        pytest.param(grpc.StatusCode.UNIMPLEMENTED, "failed", id="unimplemented"),
        pytest.param(grpc.StatusCode.CANCELLED, "failed", id="cancelled"),
    ],
)
async def test_a_refusal_is_an_error_by_its_code(code, result):
    setting = _Setting(ended(code))
    with pytest.raises(CredentialUnavailableError) as raised:
        await setting.tokens.fetch(AUDIENCE)
    assert raised.value.cause == result
    assert setting.events.fetches == {result: 1}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(grpc.aio.UsageError("Channel is closed."), id="channel-closed"),
        pytest.param(asyncio.CancelledError(), id="call-cancelled-beneath-us"),
    ],
)
async def test_a_closed_channel_is_an_error_of_ours(fault):
    with pytest.raises(CredentialUnavailableError):
        await _Setting(fault).tokens.fetch(AUDIENCE)


async def test_permission_denied_forgets_every_token():
    setting = _Setting()
    await setting.tokens.fetch(AUDIENCE)
    setting.agent._answers = (ended(grpc.StatusCode.PERMISSION_DENIED),)
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch("another")
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch(AUDIENCE)
    assert len(setting.agent.requests) == 3


async def test_an_outage_keeps_what_is_held():
    setting = _Setting()
    held = await setting.tokens.fetch(AUDIENCE)
    setting.agent._answers = (ended(grpc.StatusCode.UNAVAILABLE),)
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch("another")
    assert await setting.tokens.fetch(AUDIENCE) is held


def test_an_agent_that_does_not_answer_is_given_five_seconds():
    async def silent():
        await asyncio.Event().wait()

    async def timed():
        setting = _Setting(silent)
        with pytest.raises(CredentialUnavailableError):
            await setting.tokens.fetch(AUDIENCE)
        assert setting.events.fetches == {"failed": 1}
        return now_s()

    assert in_virtual_time(timed()) == 5.0


# --- keeping ---


async def test_a_token_is_kept_to_half_of_its_life():
    setting = _Setting()
    first = await setting.tokens.fetch(AUDIENCE)
    setting.clock.pass_s(LIFE_S / 2 - 2)
    assert await setting.tokens.fetch(AUDIENCE) is first
    setting.clock.pass_s(4)
    setting.agent._answers = (setting.answer(),)
    assert (await setting.tokens.fetch(AUDIENCE)).expires_unix_s > first.expires_unix_s
    assert len(setting.agent.requests) == 2


async def test_audiences_do_not_share_a_token():
    setting = _Setting()
    await setting.tokens.fetch(AUDIENCE)
    setting.agent._answers = (setting.answer(aud=["another"]),)
    assert (await setting.tokens.fetch("another")).audience == {"another"}
    assert len(setting.agent.requests) == 2


@pytest.mark.parametrize("bundles", [True, False], ids=["keys-known", "keys-unknown"])
async def test_one_token_is_for_all_of_an_audience_in_whatever_order(bundles):
    setting = _Setting(bundles=bundles)
    setting.agent._answers = (setting.answer(aud=["else", "another", AUDIENCE]),)
    svid = await setting.tokens.fetch(AUDIENCE, "another")
    assert svid.audience == {AUDIENCE, "another"}
    assert await setting.tokens.fetch("another", AUDIENCE) is svid
    assert [sorted(each.audience) for each in setting.agent.requests] == [["another", AUDIENCE]]


@pytest.mark.parametrize("bundles", [True, False], ids=["keys-known", "keys-unknown"])
async def test_a_token_for_some_of_an_audience_is_refused(bundles):
    for given in (AUDIENCE, "another"):
        setting = _Setting(bundles=bundles)
        setting.agent._answers = (setting.answer(aud=[given]),)
        with pytest.raises(CredentialUnavailableError):
            await setting.tokens.fetch(AUDIENCE, "another")


async def test_another_identity_of_ours_does_not_get_the_formers_token():
    setting = _Setting()
    await setting.tokens.fetch(AUDIENCE)
    Trust(own=CA.own("/other"), bundles=[bundle_of(CA)]).give(setting.keeper)
    with pytest.raises(CredentialUnavailableError):
        await setting.tokens.fetch(AUDIENCE)
    assert setting.agent.requests[-1].spiffe_id == "spiffe://a.test/other"


async def test_what_is_kept_is_bounded():
    setting = _Setting()
    for number in range(300):
        setting.agent._answers = (setting.answer(aud=[f"a{number}"]),)
        await setting.tokens.fetch(f"a{number}")
    assert (len(setting.tokens._cached), len(setting.tokens._flights)) == (256, 0)


# --- one flight ---


async def _settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_share_one_call():
    setting = _Setting()
    setting.agent.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(setting.tokens.fetch(AUDIENCE)) for _ in range(20)]
        await _settle()
        setting.agent.gate.set()
    assert len(setting.agent.requests) == 1
    assert len({id(each.result()) for each in asking}) == 1


async def test_many_who_ask_at_once_share_its_failure():
    setting = _Setting(ended(grpc.StatusCode.PERMISSION_DENIED))
    setting.agent.gate = asyncio.Event()
    causes = []

    async def ask():
        with pytest.raises(CredentialUnavailableError) as raised:
            await setting.tokens.fetch(AUDIENCE)
        causes.append(raised.value.cause)

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(ask())
        await _settle()
        setting.agent.gate.set()
    assert (causes, len(setting.agent.requests)) == (["denied"] * 5, 1)


async def test_who_waits_goes_on_where_the_first_is_cancelled():
    setting = _Setting()
    setting.agent.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(setting.tokens.fetch(AUDIENCE))
        await _settle()
        waiting = [group.create_task(setting.tokens.fetch(AUDIENCE)) for _ in range(3)]
        await _settle()
        first.cancel()
        await _settle()
        setting.agent.gate.set()
    assert first.cancelled()
    assert [each.result().audience for each in waiting] == [{AUDIENCE}] * 3
    assert len(setting.agent.requests) == 2


async def test_one_who_waits_is_cancelled_alone():
    setting = _Setting()
    setting.agent.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(setting.tokens.fetch(AUDIENCE))
        await _settle()
        waiting = group.create_task(setting.tokens.fetch(AUDIENCE))
        await _settle()
        waiting.cancel()
        await _settle()
        setting.agent.gate.set()
    assert waiting.cancelled()
    assert (first.result().audience, len(setting.agent.requests)) == ({AUDIENCE}, 1)


async def test_a_token_whose_entitlement_ended_under_way_is_refused_and_not_kept():
    setting = _Setting()
    setting.agent.gate = asyncio.Event()

    async def ask():
        with pytest.raises(CredentialUnavailableError):
            await setting.tokens.fetch(AUDIENCE)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        await _settle()
        setting.tokens.clear()
        setting.agent.gate.set()
    assert setting.tokens._cached == {}
