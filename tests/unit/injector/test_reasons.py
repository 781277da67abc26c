"""The closed set of reasons."""

import pytest

from outrider.injector.reasons import REMEDIES, DeniedError, Outcome, Reason, reason_table
from tests.support.admission_shapes import PAGE


def test_the_reasons_are_those_of_the_page() -> None:
    assert " ".join(Reason) == (
        "ok opted_out opt_out_not_accepted invalid_value bad_annotation guarded_annotation "
        "host_namespace unsupported_os reserved_name reserved_uid capability reserved_mount "
        "agent_secret port_conflict proxy_env_conflict dns_unknown malformed internal"
    )
    assert " ".join(Outcome) == "injected unchanged skipped denied error"


def test_a_denial_carries_its_reason_and_sentence() -> None:
    fault = DeniedError(Reason.RESERVED_UID, "spec.securityContext.runAsUser is 2102")
    assert (fault.reason, str(fault)) == (Reason.RESERVED_UID, fault.message)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_what_it_means_and_every_refusal_what_to_do(reason: Reason) -> None:
    means, todo = REMEDIES[reason]
    assert means
    assert bool(todo) is (reason not in {Reason.OK, Reason.OPTED_OUT})


def test_the_page_has_the_reasons_as_the_code_has_them() -> None:
    assert reason_table() in PAGE.read_text()
