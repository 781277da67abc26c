import pytest

from tests.support.builders import NOW_UNIX_S, a_grant, a_task

LATER = "2026-11-23T09:31:00Z"


@pytest.mark.parametrize(
    ("expires_at", "deadline_s", "ends_s"),
    [
        pytest.param(None, None, None, id="neither"),
        pytest.param(LATER, None, 60, id="its-grant"),
        pytest.param(None, 90, 90, id="its-deadline"),
        pytest.param(LATER, 90, 60, id="the-grant-first"),
        pytest.param(LATER, 30, 30, id="the-deadline-first"),
    ],
)
def test_a_task_ends_with_its_grant_or_its_deadline(
    expires_at: str | None, deadline_s: int | None, ends_s: int | None
) -> None:
    grant = a_grant(expires_at=expires_at) if expires_at is not None else a_grant()
    deadline = None if deadline_s is None else NOW_UNIX_S + deadline_s
    task = a_task(grant=grant, deadline_unix_s=deadline)
    assert task.ends_unix_s == (None if ends_s is None else NOW_UNIX_S + ends_s)
