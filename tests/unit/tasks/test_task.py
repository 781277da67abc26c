"""A registered task and its form in the store."""

from typing import Any

import orjson
import pytest

from outrider.core.template import parse_usual
from outrider.core.vocabulary import TaskEnd, TaskState
from outrider.tasks.task import Event, Principal, Slot, SlotCodec, read_task, write_task
from tests.support.builders import NOW_UNIX_S, a_grant
from tests.support.tasks import TRIAGE, a_registered_task


def _whole() -> Any:
    return a_registered_task(
        usual=parse_usual(TRIAGE["usual"], "usual"),
        grant=a_grant(calls=3, spend={"limit": "0.5", "unit": "usd"}),
        principal=Principal(id="oidc:alice@corp", tenant="acme", acr="mfa", auth_time=7),
        parent="tsk_p",
        parent_revision=2,
        root="tsk_r",
        children=("tsk_a", "tsk_b"),
        state=TaskState.ENDED,
        end=TaskEnd.BUDGET,
        ended_unix_s=NOW_UNIX_S,
        events=(Event(name="ended", unix_s=NOW_UNIX_S, by="x", detail="why"),),
    )


@pytest.mark.parametrize("task", [_whole(), a_registered_task(principal=Principal())])
def test_a_task_is_read_as_it_was_written(task: Any) -> None:
    codec = SlotCodec()
    read = codec.decode(codec.encode(Slot(task=task)), NOW_UNIX_S).task
    assert read == task


def test_a_place_nobody_wrote_to_is_empty_and_written_so() -> None:
    codec = SlotCodec()
    assert codec.decode(None, NOW_UNIX_S) == Slot()
    assert codec.decode(codec.encode(Slot()), NOW_UNIX_S).task is None


@pytest.mark.parametrize("key", sorted(write_task(_whole())))
def test_a_stored_task_that_lacks_anything_is_no_task(key: str) -> None:
    document = write_task(_whole())
    del document[key]
    assert SlotCodec().decode(orjson.dumps(document), NOW_UNIX_S).task is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"form": 2}, id="another-form"),
        pytest.param({"state": "happy"}, id="state"),
        pytest.param({"end": "happy"}, id="end"),
        pytest.param({"grant": {"tools": 1}}, id="grant"),
        pytest.param({"grant_revision": 1.5}, id="revision"),
        pytest.param({"grant_revision": True}, id="revision-true"),
        pytest.param({"deadline": "later"}, id="deadline"),
        pytest.param({"deadline": True}, id="deadline-true"),
        pytest.param({"anchors": [1]}, id="anchors"),
        pytest.param({"agent": None}, id="agent"),
        pytest.param({"usual": {"fly": []}}, id="usual"),
        pytest.param({"principal": {"id": 1, "tenant": None, "acr": None}}, id="principal"),
        pytest.param({"events": [{"name": "x"}]}, id="events"),
    ],
)
def test_a_stored_task_that_cannot_be_read_is_no_task(changes: Any) -> None:
    document = write_task(_whole()) | changes
    assert SlotCodec().decode(orjson.dumps(document), NOW_UNIX_S).task is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff"])
def test_bytes_that_are_no_document_are_no_task(data: bytes) -> None:
    assert SlotCodec().decode(data, NOW_UNIX_S).task is None


def test_the_root_of_a_task_without_parent_is_itself() -> None:
    assert a_registered_task().root_id == a_registered_task().id
    assert read_task(write_task(_whole())).root_id == "tsk_r"
