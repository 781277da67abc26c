"""A sealed state opens for its own request, in its time, once."""

import pytest

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import JsonObject
from outrider.protocols.adapters.mcp.seal import Seals
from tests.support.mcp_exchange import FixedClock

PARAMS: JsonObject = {"name": "echo", "arguments": {"a": 1}}


def _seals(key: bytes = b"k" * 32, clock: FixedClock | None = None) -> Seals:
    return Seals(key=key, clock=clock or FixedClock())


def _open(seals: Seals, sealed: object, **changes: object) -> str:
    facts: dict[str, object] = {
        "subject": "s",
        "upstream": "crm",
        "method": "tools/call",
        "params": PARAMS,
        **changes,
    }
    return seals.open(sealed, **facts)  # type: ignore[arg-type]


def _seal(seals: Seals, state: str = "state \u2603") -> str:
    return seals.seal(state, subject="s", upstream="crm", method="tools/call", params=PARAMS)


def test_the_state_comes_back_as_it_was() -> None:
    seals = _seals()
    meta: JsonObject = {**PARAMS, "_meta": {}, "inputResponses": {}, "requestState": "x"}
    assert _open(seals, _seal(seals), params=meta) == "state \u2603"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "t"},
        {"upstream": "erp"},
        {"method": "prompts/get"},
        {"params": {"name": "echo", "arguments": {"a": 2}}},
    ],
    ids=["subject", "upstream", "method", "params"],
)
def test_case_59_it_opens_for_nothing_else(changes: dict[str, object]) -> None:
    seals = _seals()
    with pytest.raises(MalformedError) as refused:
        _open(seals, _seal(seals), **changes)
    assert (refused.value.code, refused.value.status) == (-32602, 400)


@pytest.mark.parametrize("sealed", [None, 7, "", "or1.", "or1.!!", "or1.AAAA", "state"])
def test_case_59_what_was_never_sealed_is_refused(sealed: object) -> None:
    with pytest.raises(MalformedError):
        _open(_seals(), sealed)


def test_case_59_once_and_in_time_and_by_this_key() -> None:
    clock = FixedClock()
    seals = _seals(clock=clock)
    once, late = _seal(seals), _seal(seals)
    assert _open(seals, once)
    with pytest.raises(MalformedError):
        _open(seals, once)
    with pytest.raises(MalformedError):
        _open(_seals(key=b"x" * 32), late)
    clock.now_s += 901
    with pytest.raises(MalformedError):
        _open(seals, late)


def test_any_changed_character_is_noticed() -> None:
    seals = _seals()
    sealed = _seal(seals)
    for at in range(4, len(sealed)):
        other = "A" if sealed[at] != "A" else "B"
        with pytest.raises(MalformedError):
            _open(seals, sealed[:at] + other + sealed[at + 1 :])
