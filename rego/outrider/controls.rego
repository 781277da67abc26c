# METADATA
# title: The library's controls
# description: |
#   One line a control, each named in full: a wildcard would make regorus evaluate every rule of
#   every package below, and would skip packages at another depth.
package outrider.controls

# METADATA
# description: What any control found.
# scope: document
findings contains f if {
	not input.action.properties.phase == "list"
	some f in _not_phase_list
}

findings contains f if {
	not input.action.properties.effect == "read"
	some f in _not_effect_read
}

findings contains f if {
	not input.action.properties.class == "read"
	some f in _not_class_read
}

findings contains f if {
	not input.action.properties.protocol == "mcp"
	some f in data.outrider.controls.agent_secret.findings
}

findings contains f if {
	not data.outrider.lib.plain_entry
	some f in data.outrider.controls.agent_secret.findings
}

findings contains f if {
	input.action.properties.effect == "read"
	not input.resource.properties.sensitivity == "public"
	some f in data.outrider.controls.answer_limits.findings
}

findings contains f if {
	not input.context.behaviour.counters.denials_300s == 0
	some f in data.outrider.controls.breaker.findings
}

findings contains f if {
	not input.context.behaviour.counters.distinct_destinations == 0
	not input.context.behaviour.counters.distinct_destinations == 1
	some f in data.outrider.controls.breaker.findings
}

findings contains f if {
	not input.context.behaviour.recent == []
	some f in data.outrider.controls.breaker.findings
}

findings contains f if {
	not data.outrider.lib.stays_at_upstream
	some f in data.outrider.controls.canonical_form.findings
}

findings contains f if {
	not input.resource.properties.destination.ip_class == null
	not input.resource.properties.destination.ip_class == "private"
	not input.resource.properties.destination.ip_class == "public"
	not input.resource.properties.destination.ip_class == "loopback"
	some f in data.outrider.controls.canonical_form.findings
}

findings contains f if {
	not data.outrider.lib.plain_entry
	some f in data.outrider.controls.canonical_form.findings
}

findings contains f if {
	not data.outrider.lib.plain_arguments
	some f in data.outrider.controls.command_source.findings
}

findings contains f if {
	input.resource.type == "tool"
	not data.outrider.lib.plain_entry
	some f in data.outrider.controls.confusable_name.findings
}

findings contains f if {
	input.resource.type == "tool"
	not input.resource.properties.declared == true
	some f in data.outrider.controls.confusable_name.findings
}

findings contains f if {
	not input.context.delegation == null
	not input.context.delegation.chain == []
	some f in data.outrider.controls.cut_chain.findings
}

findings contains f if {
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	some f in data.outrider.controls.delegated_reach.findings
}

findings contains f if {
	input.context.task.state == "ended"
	some f in data.outrider.controls.ended_task.findings
}

findings contains f if {
	not input.context.task.deadline == null
	some f in data.outrider.controls.ended_task.findings
}

findings contains f if {
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	some f in data.outrider.controls.entitled_hops.findings
}

findings contains f if {
	input.context.approval.state == "granted"
	some f in data.outrider.controls.fitting_approval.findings
}

findings contains f if {
	not input.subject.properties.environment == input.context.environment
	not input.subject.properties.environment == null
	some f in data.outrider.controls.identity_scope.findings
}

findings contains f if {
	input.subject.properties.status in {"offboarded", "quarantined"}
	some f in data.outrider.controls.identity_status.findings
}

findings contains f if {
	not data.outrider.lib.agent_stands
	data.outrider.lib.agent.status in {"offboarded", "quarantined"}
	some f in data.outrider.controls.identity_status.findings
}

findings contains f if {
	not input.resource.type == "tool"
	not input.resource.type == "api"
	not input.resource.type == "resource"
	not input.resource.type == "prompt"
	not input.resource.type == "model"
	not input.resource.type == "host"
	some f in data.outrider.controls.lowest_label.findings
}

findings contains f if {
	not input.resource.properties.tags == []
	not input.resource.properties.tenant == null
	some f in data.outrider.controls.memory_tenant.findings
}

findings contains f if {
	not input.resource.properties.tenant == null
	some f in data.outrider.controls.other_tenant.findings
}

findings contains f if {
	not input.context.behaviour.signals.outside_template == false
	some f in data.outrider.controls.outside_template.findings
}

findings contains f if {
	not data.outrider.lib.agent_stands
	some f in data.outrider.controls.overdue_review.findings
}

findings contains f if some f in data.outrider.controls.rates.findings

findings contains f if {
	input.action.properties.effect == "read"
	not input.resource.properties.sensitivity == "public"
	not input.resource.properties.sensitivity == "internal"
	not input.resource.properties.sensitivity == "confidential"
	some f in data.outrider.controls.secret_read.findings
}

findings contains f if {
	not input.resource.properties.tags == []
	some f in data.outrider.controls.spawn_burst.findings
}

findings contains f if {
	not input.resource.properties.declared == true
	not data.outrider.lib.outside_production
	some f in data.outrider.controls.undeclared.findings
}

findings contains f if {
	not input.resource.properties.declared == true
	data.outrider.lib.outside_production
	some f in data.outrider.controls.undeclared.findings
}

findings contains f if {
	input.action.properties.protocol == "connect"
	some f in data.outrider.controls.unread_tunnel.findings
}

findings contains f if {
	not input.context.behaviour.flags.untrusted_read == false
	input.action.properties.class == "read"
	some f in data.outrider.controls.untrusted_authority.findings
}

findings contains f if {
	input.context.task == null
	input.subject.type == "agent"
	some f in data.outrider.controls.without_task.findings
}

_not_phase_list contains f if {
	not input.action.properties.effect == "read"
	some f in _not_phase_list_and_not_effect_read
}

_not_phase_list contains f if {
	not data.outrider.lib.is_handshake
	some f in _not_phase_list_and_not_is_handshake
}

_not_phase_list contains f if {
	not input.action.properties.class == "read"
	some f in _not_phase_list_and_not_class_read
}

_not_phase_list contains f if {
	not input.context.behaviour.signals.beacon == null
	not data.outrider.lib.stays_inside
	some f in data.outrider.controls.beacon.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.signals.instances_60s == 1
	not input.context.behaviour.signals.instances_60s == 0
	some f in data.outrider.controls.burst_and_spread.findings
}

_not_phase_list contains f if {
	not data.outrider.lib.is_unhurried
	some f in data.outrider.controls.burst_and_spread.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.counters.denials_300s == 0
	some f in data.outrider.controls.denial_streak.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.signals.consent_other_agent == false
	some f in data.outrider.controls.foreign_consent.findings
}

_not_phase_list contains f if {
	not input.context.delegation == null
	not input.context.delegation.flags == {}
	not input.context.delegation.flags.untrusted_read == false
	some f in data.outrider.controls.inherited_taint.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.repeats.same_action_60s == 0
	not input.context.behaviour.repeats.same_action_60s == 1
	not input.context.behaviour.repeats.same_action_60s == 2
	some f in data.outrider.controls.loop.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.signals.oscillation == 0
	not input.context.behaviour.signals.oscillation == 1
	some f in data.outrider.controls.loop.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.signals.approval_misuse == false
	some f in data.outrider.controls.misused_approval.findings
}

_not_phase_list contains f if {
	not input.resource.properties.definition == null
	not input.resource.properties.definition.pinned == true
	some f in data.outrider.controls.pinned_definition.findings
}

_not_phase_list contains f if {
	not data.outrider.lib.plain_arguments
	some f in data.outrider.controls.poisoned_memory.findings
}

_not_phase_list contains f if {
	not input.resource.properties.tags == []
	not input.context.behaviour.tags == {}
	some f in data.outrider.controls.privilege_path.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.signals.rejected_same_3600s == 0
	some f in data.outrider.controls.rejected_before.findings
}

_not_phase_list contains f if {
	not input.context.behaviour.repeats.same_target_after_deny == false
	some f in data.outrider.controls.retried_denial.findings
}

_not_phase_list contains f if {
	input.action.properties.class == "read"
	not data.outrider.lib.plain_arguments
	not data.outrider.lib.carries_no_secret
	some f in data.outrider.controls.secret_in_read.findings
}

_not_phase_list contains f if {
	not data.outrider.lib.plain_arguments
	not data.outrider.lib.carries_no_secret
	some f in data.outrider.controls.spread_secret.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect in {"send", "share"}
	not data.outrider.lib.stays_inside
	some f in data.outrider.controls.bulk_then_outside.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect == "execute"
	not data.outrider.lib.untainted
	some f in data.outrider.controls.fetched_execution.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect in {"admin", "execute"}
	not data.outrider.lib.untainted
	some f in data.outrider.controls.grave_after_untrusted.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect == "delete"
	not input.action.properties.reversible == true
	not data.outrider.lib.untainted
	some f in data.outrider.controls.grave_after_untrusted.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect == "delete"
	some f in data.outrider.controls.mass_delete.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect in {"pay", "send", "share"}
	not input.context.behaviour.signals.target_age_s == null
	some f in data.outrider.controls.own_destination.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect == "pay"
	some f in data.outrider.controls.payee_total.findings
}

_not_phase_list_and_not_effect_read contains f if {
	input.action.properties.effect in {"admin", "execute", "pay"}
	not input.context.delegation == null
	not input.context.delegation.depth == 0
	some f in data.outrider.controls.young_child.findings
}

_not_phase_list_and_not_is_handshake contains f if {
	not data.outrider.lib.stays_inside
	some f in _not_phase_list_and_not_is_handshake_and_not_stays_inside
}

_not_phase_list_and_not_is_handshake contains f if {
	not input.context.behaviour.signals.first_use == false
	not data.outrider.lib.outside_production
	some f in data.outrider.controls.first_use.findings
}

_not_phase_list_and_not_is_handshake contains f if {
	not input.context.behaviour.signals.distinct_subjects == 0
	not input.context.behaviour.signals.distinct_subjects == 1
	some f in data.outrider.controls.other_tenant.findings
}

_not_phase_list_and_not_is_handshake_and_not_stays_inside contains f if {
	some f in data.outrider.controls.drip_outside.findings
}

_not_phase_list_and_not_is_handshake_and_not_stays_inside contains f if {
	not input.context.behaviour.flags.sensitive_read == false
	some f in data.outrider.controls.encoded_export.findings
}

_not_phase_list_and_not_is_handshake_and_not_stays_inside contains f if {
	some f in data.outrider.controls.new_destination.findings
}

_not_phase_list_and_not_is_handshake_and_not_stays_inside contains f if {
	not input.context.behaviour.flags.sensitive_read == false
	not data.outrider.lib.untainted
	some f in data.outrider.controls.rule_of_two.findings
}

_not_phase_list_and_not_is_handshake_and_not_stays_inside contains f if {
	input.action.properties.effect in {"read", "send", "share"}
	not input.context.behaviour.highest_sensitivity_read == null
	not input.context.behaviour.highest_sensitivity_read == "public"
	not input.context.behaviour.highest_sensitivity_read == "internal"
	not input.context.behaviour.highest_sensitivity_read == "confidential"
	some f in data.outrider.controls.secret_then_outside.findings
}

_not_phase_list_and_not_class_read contains f if {
	not input.context.behaviour.tags == {}
	some f in data.outrider.controls.guard_write.findings
}

_not_phase_list_and_not_class_read contains f if {
	not input.context.behaviour.flags.sensitive_read == false
	not data.outrider.lib.untainted
	some f in data.outrider.controls.rule_of_two.findings
}

_not_phase_list_and_not_class_read contains f if {
	not input.resource.properties.tags == []
	some f in data.outrider.controls.trace_removal.findings
}

_not_phase_list_and_not_class_read contains f if {
	not data.outrider.lib.no_calendar
	some f in data.outrider.controls.working_hours.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "admin"
	some f in data.outrider.controls.administration.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "send"
	some f in data.outrider.controls.customer_send.findings
}

_not_effect_read contains f if {
	not input.resource.properties.tags == []
	not data.outrider.lib.outside_production
	some f in data.outrider.controls.deployment.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "execute"
	input.resource.properties.declared == true
	some f in data.outrider.controls.execution.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "delete"
	not input.action.properties.reversible == true
	some f in data.outrider.controls.irreversible_delete.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "write"
	not input.action.properties.reversible == true
	some f in data.outrider.controls.irreversible_write.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "pay"
	some f in data.outrider.controls.payment.findings
}

_not_effect_read contains f if {
	input.action.properties.effect == "share"
	some f in data.outrider.controls.share_external.findings
}

_not_effect_read contains f if {
	input.action.properties.effect in {"admin", "execute", "pay"}
	input.context.approval.state == "granted"
	some f in data.outrider.controls.step_up.findings
}

_not_effect_read contains f if {
	input.action.properties.effect in {"admin", "pay"}
	some f in data.outrider.controls.untrusted_authority.findings
}

_not_effect_read contains f if {
	input.action.properties.effect in {"send", "share"}
	not data.outrider.lib.plain_arguments
	some f in data.outrider.controls.untrusted_link.findings
}

_not_class_read contains f if {
	not data.outrider.lib.no_calendar
	some f in data.outrider.controls.calendar.findings
}

_not_class_read contains f if {
	not input.context.behaviour.highest_sensitivity_read == null
	not input.context.behaviour.highest_sensitivity_read == "public"
	not input.context.behaviour.highest_sensitivity_read == "internal"
	some f in data.outrider.controls.confidential_export.findings
}

_not_class_read contains f if some f in data.outrider.controls.dry_run.findings

_not_class_read contains f if {
	not input.resource.properties.tags == []
	some f in data.outrider.controls.fetched_execution.findings
}

_not_class_read contains f if {
	not input.resource.properties.tags == []
	some f in data.outrider.controls.guard_write.findings
}

_not_class_read contains f if {
	not data.outrider.lib.plain_arguments
	not data.outrider.lib.stays_inside
	some f in data.outrider.controls.leaked_secret.findings
}

_not_class_read contains f if {
	not input.resource.properties.tags == []
	some f in data.outrider.controls.memory_trust.findings
}

_not_class_read contains f if {
	not input.context.behaviour.flags.untrusted_read == false
	some f in data.outrider.controls.strict_authority.findings
}

_not_class_read contains f if {
	not input.context.behaviour.flags.untrusted_read == false
	some f in data.outrider.controls.untrusted_authority.findings
}
