"""What the past says of an action."""

import pytest

from outrider.core.facts import Answered, Facts
from outrider.core.vocabulary import Role
from outrider.tasks.past import payees_of, seen_mark, stable_aim
from tests.support.books import DONE, a_root, an_office, at_work
from tests.support.builders import a_destination, an_action, an_ask

CODE = "https://login.acme.test/device?code=WDJB-MJHT"


def signals(facts: Facts) -> dict[str, object]:
    told = facts.behaviour["signals"]
    assert isinstance(told, dict)
    return told


def test_an_address_is_remembered_whole_and_a_link_by_its_host() -> None:
    ann, bob = (
        a_destination("b.test", pointer="/to", value=f"{who}@b.test") for who in ("ann", "bob")
    )
    one, other = (
        a_destination("b.test", pointer="/url", value=f"https://b.test/{page}") for page in "xy"
    )
    assert seen_mark(ann) != seen_mark(bob)
    assert seen_mark(one) == seen_mark(other)
    assert seen_mark(a_destination(None)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("DE89 3704 0044", "de8937040044", id="spaces-and-case"),
        pytest.param("mailto:Ann@b.test", "ann@B.test", id="address"),
        pytest.param("+49-30-1234", "+49301234", id="hyphens"),
        pytest.param(
            "DE89.3704/0044.0532 0130-00", "de89370400440532013000", id="dots-and-slashes"
        ),
        pytest.param("DE89\u200b370400440532013000", "DE89370400440532013000", id="unseen"),
        pytest.param("Ann <ann@b.test>", "ann@b.test", id="display-name"),
        pytest.param("https://B.test:443/x", "https://b.test/x", id="link"),
    ],
)
def test_a_payee_has_one_spelling(one: str, other: str) -> None:
    first, second = (
        an_action(ask=an_ask(arguments={"to": text}), roles=(("/to", Role.TARGET),))
        for text in (one, other)
    )
    assert payees_of(first) == payees_of(second)
    assert stable_aim(first) == stable_aim(second)


def test_who_is_paid_without_a_name_is_the_tools_own_payee() -> None:
    assert len(payees_of(an_action())) == 1
    assert stable_aim(an_action()) is None


async def test_a_destination_the_agent_created_is_told_by_its_age() -> None:
    office = an_office()
    async with at_work(office):
        await office.call("add_contact", {"address": "new@b.test"})
        office.clock.pass_s(40)
        created = await office.facts("mail", {"to": "New@b.test"})
        other = await office.facts("mail", {"to": "old@b.test"})
    assert [signals(facts)["target_age_s"] for facts in (created, other)] == [40, None]


@pytest.mark.parametrize(
    ("name", "to", "age"),
    [
        pytest.param("new@b.test", "New@b.test", 40, id="an-address"),
        pytest.param("New <new@b.test>", "new@b.test", 40, id="under-a-name"),
        pytest.param("a note", "a@b.test", None, id="a-name-of-something"),
    ],
)
async def test_an_untyped_target_that_looks_like_a_destination_is_one(
    name: str, to: str, age: int | None
) -> None:
    office = an_office()
    async with at_work(office):
        await office.call("remember", {"key": name, "text": "x"})
        office.clock.pass_s(40)
        facts = await office.facts("mail", {"to": to})
    assert signals(facts)["target_age_s"] == age


async def test_what_failed_by_its_answer_created_nothing() -> None:
    office = an_office()
    async with at_work(office):
        for key, *answers in (("failed", True), ("done", True, False)):
            page = await office.open("add_contact", {"address": f"{key}@b.test"})
            for failed in answers:
                await page.learn(Answered(action=0, texts=("said",), failed=failed))
            page.close(DONE)
        office.clock.pass_s(40)
        told = [await office.facts("mail", {"to": f"{key}@b.test"}) for key in ("failed", "done")]
    assert [signals(facts)["target_age_s"] for facts in told] == [None, 40]


async def test_what_people_rejected_is_told_in_the_next_task_too() -> None:
    office = an_office()
    mail = office.action("mail", {"to": "ann@b.test"})
    async with at_work(office):
        await office.books.reject(office.opening(mail))
        await office.books.reject(office.opening(mail))
        office.task = a_root("tsk_2")
        again = await office.facts("mail", {"to": "ann@b.test"})
        other = await office.facts("mail", {"to": "bob@b.test"})
    assert [signals(facts)["rejected_same_3600s"] for facts in (again, other)] == [2, 0]


async def test_a_consent_address_that_another_agent_was_shown_is_told() -> None:
    office = an_office()
    async with at_work(office):
        page = await office.open("login")
        await page.learn(Answered(action=0, value={"url": CODE}))
        own = await office.facts("open", {"id": CODE})
        office.agent = {"id": "spiffe://acme.test/ns/support/sa/other"}
        others = await office.facts("open", {"id": f"go to {CODE}."})
        near = await office.facts("open", {"id": CODE + "X"})
    told = [signals(facts)["consent_other_agent"] for facts in (own, others, near)]
    assert told == [False, True, False]


async def test_one_identity_from_two_places_is_told() -> None:
    office = an_office()
    async with at_work(office):
        office.agent = {"instance": "pod:one"}
        first = await office.facts("open", {"id": "t-1"})
        office.agent = {"instance": "pod:two"}
        second = await office.facts("open", {"id": "t-1"})
        office.agent = {"instance": None}
        nobody = await office.facts("open", {"id": "t-1"})
    told = [signals(facts)["instances_60s"] for facts in (first, second, nobody)]
    assert told == [1, 2, 0]


async def test_the_sum_of_a_payee_is_kept_across_tasks_and_by_principal() -> None:
    office = an_office()
    pay = {"iban": "DE1", "amount": 10}
    async with at_work(office):
        await office.call("pay", pay)
        office.task = a_root("tsk_2")
        second = await office.call("pay", pay)
        office.task = a_root("tsk_3", principal="oidc:bob@acme.test")
        other = await office.call("pay", pay)
    assert [signals(facts)["amount_target_24h"] for facts in (second, other)] == [20, 10]


async def test_what_has_no_json_form_is_looked_through_all_the_same() -> None:
    office = an_office()
    async with at_work(office):
        page = await office.open("login")
        await page.learn(Answered(action=0, value={"url": CODE, "odd": "\ud800", "n": 2**70}))
        office.agent = {"id": "spiffe://acme.test/ns/support/sa/other"}
        facts = await office.facts("open", {"id": CODE, "n": 2**70})
    assert signals(facts)["consent_other_agent"] is True
