"""Security: who is refused, led astray, cut off, forged or going round."""

from typing import Final

from deploy.grafana.panels import Board, Panel, Query, Section, by, gauge, graph, quantile

BOARD: Final = Board(
    uid="outrider-security",
    title="Outrider / Security",
    about="Denials, holds, provenance, quarantine, identity, and traffic that goes round.",
    sections=(
        Section(
            title="Agents",
            panels=(
                graph(
                    "Denials by agent",
                    "ops",
                    "A jump is a change of policy, of a tool, or of the agent.",
                    Query(
                        expression=by(
                            "namespace, agent", "outrider_decisions_total", 'effect="deny"'
                        ),
                        legend="{{namespace}}/{{agent}}",
                    ),
                    alerts=("OutriderDenyRateAnomaly",),
                ),
                graph(
                    "Holds",
                    "ops",
                    "Actions that wait for people; this version refuses them.",
                    Query(
                        expression=by("class", "outrider_decisions_total", 'effect="hold"'),
                        legend="{{class}}",
                    ),
                ),
                graph(
                    "Authority arguments from untrusted text",
                    "ops",
                    "An address, a sum, a command that only untrusted text named.",
                    Query(
                        expression=by("role, effect", "outrider_untrusted_arguments_total"),
                        legend="{{role}} {{effect}}",
                    ),
                ),
                graph(
                    "Flags set for the first time in a task",
                    "ops",
                    "Untrusted or sensitive text read, something sent outside.",
                    Query(
                        expression=by("flag", "outrider_behaviour_flags_total"), legend="{{flag}}"
                    ),
                ),
                graph(
                    "Quarantined",
                    "short",
                    "What is cut off now.",
                    Query(
                        expression=f"sum by (scope) ({gauge('outrider_quarantined')})",
                        legend="{{scope}}",
                    ),
                    alerts=("OutriderQuarantined",),
                ),
                graph(
                    "Until a quarantine is in force",
                    "s",
                    "From the order to this sidecar; more than two seconds pages.",
                    Query(
                        expression=quantile(0.99, "outrider_quarantine_propagation_seconds"),
                        legend="p99",
                    ),
                    alerts=("OutriderQuarantineSlow",),
                ),
            ),
        ),
        Section(
            title="Answers and credentials",
            panels=(
                graph(
                    "Tool definitions changed",
                    "ops",
                    "Calls of such a tool are refused until a person accepts it.",
                    Query(
                        expression=by("protocol", "outrider_definition_changes_total"),
                        legend="{{protocol}}",
                    ),
                    width=6,
                    alerts=("OutriderDefinitionChanged",),
                ),
                graph(
                    "Redactions",
                    "ops",
                    "Secrets and marked fields taken out of answers.",
                    Query(
                        expression=by("protocol", "outrider_redactions_total"),
                        legend="{{protocol}}",
                    ),
                    width=6,
                ),
                graph(
                    "Credentials that agents sent",
                    "ops",
                    "Taken out: the agent should hold none.",
                    Query(
                        expression=by("agent", "outrider_agent_credentials_stripped_total"),
                        legend="{{agent}}",
                    ),
                    width=6,
                ),
                graph(
                    "Our secrets in answers",
                    "ops",
                    "An upstream gave a live secret back; it was redacted.",
                    Query(
                        expression=by("agent", "outrider_secret_echo_total"),
                        legend="{{agent}}",
                    ),
                    width=6,
                ),
            ),
        ),
        Section(
            title="Identity",
            panels=(
                graph(
                    "Handshakes that failed",
                    "ops",
                    "By our role and the reason; wrong_authority pages.",
                    Query(
                        expression=by(
                            "role, reason", "outrider_identity_handshakes_total", 'reason!="ok"'
                        )
                        + " > 0",
                        legend="{{role}} {{reason}}",
                    ),
                    alerts=("OutriderForgedIdentity", "OutriderHandshakeFailures"),
                ),
                graph(
                    "Tokens of callers",
                    "ops",
                    "JWT-SVIDs and OIDC tokens by what came of them.",
                    Query(
                        expression=by("kind, result", "outrider_identity_tokens_total") + " > 0",
                        legend="{{kind}} {{result}}",
                    ),
                ),
                graph(
                    "Life left of our SVID",
                    "percentunit",
                    "Under a quarter pages; SPIRE renews at half.",
                    Query(
                        expression=(
                            f"min by (agent) ({gauge('outrider_identity_svid_seconds_remaining')} "
                            f"/ ({gauge('outrider_identity_svid_lifetime_seconds')} > 0))"
                        ),
                        legend="{{agent}}",
                    ),
                    alerts=("OutriderSvidExpiring",),
                ),
                graph(
                    "Source of identity",
                    "short",
                    "Sidecars by the state of their Workload API.",
                    Query(
                        expression=(
                            f"sum by (state) ({gauge('outrider_identity_workload_api_state')})"
                        ),
                        legend="{{state}}",
                    ),
                    alerts=("OutriderWorkloadApiDown",),
                ),
                graph(
                    "Live connections ended",
                    "ops",
                    "Their peer's proof expired or was withdrawn.",
                    Query(
                        expression=by("reason", "outrider_identity_revalidation_failures_total"),
                        legend="{{reason}}",
                    ),
                ),
                graph(
                    "Requests refused at the gate",
                    "ops",
                    "Before any adapter, by cause.",
                    Query(
                        expression=by("listener, cause", "outrider_edge_refusals_total") + " > 0",
                        legend="{{listener}} {{cause}}",
                    ),
                ),
            ),
        ),
        Section(
            title="Capture",
            panels=(
                Panel(
                    kind="table",
                    title="Capture modes",
                    unit="short",
                    about="Cooperative governs only what obeys HTTP_PROXY.",
                    queries=(
                        Query(
                            expression=(
                                "count by (namespace, agent, mode) "
                                f"({gauge('outrider_capture_mode_info')} == 1)"
                            )
                        ),
                    ),
                    alerts=("OutriderCooperativeInProduction",),
                ),
                graph(
                    "Capture found broken",
                    "ops",
                    "Probes of a watched capture that did not arrive.",
                    Query(
                        expression=by("agent", "outrider_capture_failures_total"),
                        legend="{{agent}}",
                    ),
                    alerts=("OutriderCaptureBroken",),
                ),
                graph(
                    "Attempts to go round",
                    "ops",
                    "Captured connections to where no route leads; each was refused.",
                    Query(
                        expression=by("agent", "outrider_capture_bypass_attempts_total"),
                        legend="{{agent}}",
                    ),
                ),
            ),
        ),
    ),
)
