import asyncio
from typing import Any

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy import release as releases
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.policy.proof import GrantProof, Prover, subjects_of
from outrider.policy.release import Release
from tests.support.builders import FixedClock
from tests.support.policy import ALLOW_ALL, ENTRYPOINT, TRIAGE, a_release

MAIL: Any = {
    "mail": {
        "destination": {"zone": "internal"},
        "tools": {
            "read": {"effect": "read"},
            "send": {"effect": "send", "arguments": {"to": {"role": "destination"}}},
        },
    }
}
GRANT: Any = {
    "tools": ["mail/*"],
    "effects": ["read", "send"],
    "destinations": ["*"],
    "sensitivity": "secret",
}
DATA: Any = {
    "manifest": MAIL,
    "agents": {
        "spiffe://a.test/one": TRIAGE | {"grant": GRANT},
        "spiffe://a.test/gone": TRIAGE | {"grant": GRANT, "status": "offboarded"},
        "spiffe://a.test/none": TRIAGE,
    },
    "templates": {"kind": {"grant": GRANT | {"expires_at": "2020-01-01T00:00:00Z"}}},
}
ASKING = """package outrider

decision := {"effect": "hold", "reasons": reasons, "obligations": [approval]} if {
	input.context.behaviour.flags.untrusted_read
	input.action.properties.provenance["/to"].label == "untrusted"
	input.action.properties.destinations[1].zone == "external"
	input.action.properties.destinations[1].first_seen
} else := {"effect": "allow"}

reasons := [
	{"code": "T-01", "message": "no", "severity": "low", "mode": "enforce"},
	{"code": "T-02", "message": "no", "severity": "low", "mode": "shadow"},
]

approval := {"type": "approval", "group": "g", "quorum": 1, "four_eyes": false, "expires_s": 60}
"""


async def proved(release: Release) -> list[GrantProof]:
    clock = FixedClock()
    prover = Prover(
        release=release,
        snapshot=EmbeddedSnapshot(release=release, clock=clock),
        clock=clock,
        entrypoint=ENTRYPOINT,
    )
    return [one async for one in prover.prove(subjects_of(release))]


async def test_every_grant_of_who_may_act_is_proved() -> None:
    found = await proved(a_release(ASKING, DATA))
    assert [one.subject.name for one in found] == ["agent spiffe://a.test/one", "template kind"]


async def test_policy_is_asked_in_the_state_the_way_leads_to() -> None:
    proof = (await proved(a_release(ASKING, DATA)))[0]
    assert proof.open == ()
    first = proof.proofs[0]
    assert (first.effect.value, first.broken_by, first.shadowed) == ("hold", ("T-01",), ("T-02",))
    assert first.flow.steps == ("mail/read", "mail/send")


async def test_what_nothing_stops_is_open() -> None:
    proof = (await proved(a_release(ALLOW_ALL, DATA)))[0]
    assert [one.flow.steps for one in proof.open] == [("mail/read", "mail/send")]


async def test_a_policy_that_fails_proves_nothing() -> None:
    with pytest.raises(ConfigError, match="no usable decision"):
        await proved(a_release('package outrider\n\ndecision := {"effect": "maybe"}\n', DATA))


@pytest.mark.control("GV-03")
async def test_what_ships_stops_every_flow_of_its_own_grants() -> None:
    found = await proved(await asyncio.to_thread(lambda: releases.load(shipped_rego())))
    assert sum(len(one.proofs) for one in found) >= 2
    for proof in found:
        assert proof.open == ()
