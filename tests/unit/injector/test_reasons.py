"""The closed set of reasons."""

from outrider.injector.reasons import DeniedError, Outcome, Reason


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
