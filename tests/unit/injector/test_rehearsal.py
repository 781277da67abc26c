"""Ready is who answered a review of its own under the certificate that it shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from outrider.core.secret import Secret
from outrider.injector.plan import Entry
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.rehearsal import STALE_S, Parts, Rehearsal
from tests.support.injector import (
    SERVICE,
    HandClock,
    Listening,
    a_webhook,
    key_of,
)
from tests.support.tls import an_authority, self_signed


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    outcome: Outcome = Outcome.DENIED
    reason: Reason = Reason.DNS_UNKNOWN


def reviewing(_entry: Entry, body: bytes) -> Answer:
    uid = orjson.loads(body)["request"]["uid"]
    return Answer(orjson.dumps({"response": {"uid": uid, "allowed": False}}))


@dataclass(slots=True)
class Rehearsed:
    rehearsal: Rehearsal
    listening: Listening
    clock: HandClock


@asynccontextmanager
async def rehearsed(judge: Any = reviewing, **settings: Any) -> AsyncIterator[Rehearsed]:
    async with a_webhook(judge, **settings) as listening:
        shown = listening.served.shown
        assert shown is not None
        clock = HandClock(began_unix_s=shown.from_unix_s + 3600)
        rehearsal = Rehearsal(
            Parts(
                webhook=listening.webhook,
                served=listening.served,
                name=SERVICE,
                clock=clock,
                now_unix_s=clock.unix_s,
            )
        )
        yield Rehearsed(rehearsal=rehearsal, listening=listening, clock=clock)


async def test_before_the_first_rehearsal_nobody_is_ready() -> None:
    async with rehearsed() as one:
        assert one.rehearsal.review() == "no review was rehearsed yet"


async def test_an_answer_to_our_own_review_makes_ready_and_counts_nowhere() -> None:
    async with rehearsed() as one:
        await one.rehearsal.ask()
        assert (one.rehearsal.review(), one.rehearsal.certificate()) == (None, None)
        assert one.listening.events.admitted_as == []


async def test_a_certificate_that_was_renewed_is_rehearsed_under() -> None:
    async with rehearsed() as one:
        one.listening.renew()
        await one.rehearsal.ask()
        assert one.rehearsal.review() is None


async def test_without_a_known_ca_the_very_certificate_is_compared() -> None:
    async with rehearsed() as one:
        alone = self_signed(SERVICE)
        one.listening.served.take(alone.pem, Secret(key_of(alone)), None)
        await one.rehearsal.ask()
        assert one.rehearsal.review() is None


@pytest.mark.parametrize("case", ["anothers-ca", "anothers-name"])
async def test_a_certificate_that_the_api_server_would_refuse_is_not_ready(case: str) -> None:
    async with rehearsed() as one:
        own = one.listening.authority
        issued = own.issue("elsewhere.acme.test" if case == "anothers-name" else SERVICE)
        authorities = own.pem if case == "anothers-name" else an_authority().pem
        one.listening.served.take(issued.pem, Secret(key_of(issued)), authorities)
        await one.rehearsal.ask()
        assert one.rehearsal.review() == (
            "the webhook did not answer a review: SSLCertVerificationError"
        )


@pytest.mark.parametrize(
    "judge",
    [
        pytest.param(lambda *_: None, id="refuses-reviews"),
        pytest.param(lambda *_: Answer(b'{"response":{"uid":"x"}}'), id="another-review"),
        pytest.param(lambda *_: Answer(b"[]"), id="no-review"),
        pytest.param(lambda *_: Answer(b"{"), id="no-json"),
        pytest.param(lambda *_: 1 / 0, id="fails"),
    ],
)
async def test_a_webhook_that_does_not_answer_its_review_is_not_ready(judge: Any) -> None:
    async with rehearsed(judge) as one:
        await one.rehearsal.ask()
        assert one.rehearsal.review() is not None


async def test_one_that_fails_now_and_then_stays_ready_and_three_in_a_row_do_not() -> None:
    async with rehearsed() as one:
        await one.rehearsal.ask()
        await one.listening.webhook.stop()
        one.listening.webhook._sockets = []
        one.clock.now_s += STALE_S - 1
        assert one.rehearsal.review() is None
        one.clock.now_s += 1
        assert one.rehearsal.review() == "no review was rehearsed lately"


async def test_a_certificate_is_judged_by_the_time_that_the_api_server_tells() -> None:
    async with rehearsed() as one:
        shown = one.listening.served.shown
        assert shown is not None
        life_s = shown.until_unix_s - shown.from_unix_s
        assert one.rehearsal.certificate_is_low() is None
        one.clock.now_s = life_s * 0.76 - 3600
        assert one.rehearsal.certificate_is_low() is not None
        assert one.rehearsal.certificate() is None
        one.clock.now_s = life_s - 3600
        assert one.rehearsal.certificate() == "the certificate has expired"
        await one.rehearsal.ask()
        assert one.rehearsal.review() is None, "the machine's own clock has no say"
        one.clock.now_s = -3601
        assert one.rehearsal.certificate() == "the certificate is not valid yet"
