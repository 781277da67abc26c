"""The events that our logs tell, and what each means (OPERATIONS §9).

Law: a word is added, never used for something else. Whoever logs names one of these; the tests
walk the source and hold both sides equal.
"""

from collections.abc import Mapping
from typing import Final

HEAD: Final = """\
# Log events

Logs are JSON, one object a line, on stderr: `ts`, `level`, `event`, `msg` (a fixed sentence) and
the event's own fields. `suppressed` says how many lines of the event were left out since the last:
ten a second are written. A caller's text only ever stands as a value, escaped, at most 256 bytes.
INFO is a change of state, WARNING asks somebody to look, ERROR is a broken promise of ours.

This page is made from `proxy/outrider/telemetry/log_events.py` by `make metric-pages`.

| event | meaning |
| --- | --- |
"""

MEANINGS: Final[Mapping[str, str]] = {
    "accept_failed": "no connection can be accepted, as a rule for want of file descriptors",
    "books_kept": "the books of an ended task stay until they go by themselves",
    "budget_nearing": "four fifths of a task's budget are used",
    "bundle_refused": "a trust bundle is not taken; the one before stands",
    "config_refused": "a settings file is not taken; the settings before stay in force",
    "configured": "settings are in force from now on",
    "connection_fault": "a connection ended by a fault of ours",
    "control_failed": "a control or telemetry request failed inside",
    "draining": "we were told to leave: no new work soon, what is under way ends",
    "exchange": "an exchange ended; written for the share that `telemetry.log_sample` names",
    "grpc_bridge_refused": "a connection to a gRPC bridge came from somebody else",
    "grpc_upstream_lost": "a gRPC upstream is not reached",
    "identity": "the source of our identity changed its state",
    "injector_api": "the API server is not reached, or is again",
    "injector_ca_bundle": "the webhook configuration got our CA bundle",
    "injector_certificate": "the webhook's certificate changed, or its files are not taken",
    "injector_failed": "a review could not be judged",
    "injector_lease": "this replica looks after the certificates from now on",
    "injector_rehearsal": "a rehearsed review was not answered",
    "injector_ready": "the webhook answers",
    "injector_secret": "the Secret with the certificates was written, or cannot be used",
    "injector_waits": "the webhook is not ready yet; `for` names what is missing",
    "internal": "an exchange failed inside and was refused",
    "issuer": "an OIDC issuer's keys could not be had, or can be again",
    "job_failed": "a background job ended by a fault",
    "ledger_change": "a change of a stored document failed",
    "ledger_conflict": "somebody else writes a store that is ours alone",
    "ledger_document": "one stored document cannot be written",
    "ledger_down": "a ledger cannot be written",
    "ledger_dropped": "a change of a stored document was dropped",
    "ledger_forgotten": "the shared store lost what had been written",
    "ledger_lost": "changes were not written when we ended",
    "ledger_unsure": "nobody can say whether changes were written",
    "ledger_up": "a ledger is written again",
    "loop_blocked": "the event loop stood still; `where` says in what",
    "name_is_own": "a name that nothing else proves means this pod itself, and is not looked up",
    "names_changed": "what names mean was changed in this pod; no tunnels nor plain upstreams",
    "no_ipv6": "this machine has no IPv6; we listen without it",
    "notify": "policy asks for somebody to be told",
    "obligation_failed": "what policy asked for could not be done",
    "opa_identity": "OPA is not reached under our identity",
    "opa_ended": "the OPA that runs as our child ended",
    "opa_no_decision": "OPA answered without a decision",
    "opa_not_started": "the OPA of ours does not start",
    "opa_said": "OPA wrote a line of its own log",
    "opa_started": "the OPA that runs as our child started",
    "opa_up": "OPA came up or went down",
    "policy_activated": "a revision is in force from now on",
    "policy_failed": "policy failed inside the embedded engine",
    "policy_lacking": "nobody answers for parts of the policy",
    "policy_not_kept": "the last good bundle cannot be kept on disk",
    "policy_refused": "a policy is not taken; the last good one stays, or everything is refused",
    "policy_resumed": "a start goes on from the last good bundle: its source gave no better one",
    "policy_rollback": "an operator lets older signed policy count again",
    "policy_source": "the source of policy bundles cannot be used; the last good one stays",
    "policy_source_back": "the source of policy bundles answers again",
    "policy_unbound": "policy allows what nothing binds",
    "policy_unreadable": "the policy's files cannot be read",
    "policy_unserved": "the policy in force is not served any more",
    "quarantine_unread": "who is cut off cannot be read from the store",
    "secret_echo": "an upstream sent our credential back; the answer was cut",
    "standing_unread": "what is left of standing grants cannot be read from the store",
    "started": "the listeners accept",
    "starting": "we are not ready yet; `waits_for` names what is missing",
    "store_cut": "a connection to the store ended",
    "store_refused": "the store refused a command",
    "store_unreachable": "the store cannot be reached",
    "svid_files": "an SVID in files is refused",
    "task_end_late": "a task that should have ended could not be ended yet",
    "task_unreadable": "a stored task cannot be read",
    "tls_context": "authorities or a certificate cannot be loaded into TLS",
    "tls_peer_refused": "a TLS peer was refused",
    "traces_failed": "spans could not be sent to the collector, for a fault of ours",
    "upstream_identity": "an upstream proved no identity that is expected",
    "workload_api": "a stream of the Workload API ended, came back or said something malformed",
}


def page() -> str:
    """Markdown: every event and its meaning."""
    return HEAD + "".join(f"| `{name}` | {text} |\n" for name, text in sorted(MEANINGS.items()))
