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
	not input.action.properties.effect == "read"
	some f in _not_effect_read
}

findings contains f if {
	not input.action.properties.class == "read"
	some f in _not_class_read
}

findings contains f if some f in data.outrider.controls.identity_scope.findings

findings contains f if some f in data.outrider.controls.identity_status.findings

findings contains f if {
	input.action.properties.effect == "read"
	not input.resource.properties.sensitivity == "public"
	not input.resource.properties.sensitivity == "internal"
	not input.resource.properties.sensitivity == "confidential"
	some f in data.outrider.controls.secret_read.findings
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
	not input.context.behaviour.flags.untrusted_read == false
	input.action.properties.class == "read"
	some f in data.outrider.controls.untrusted_authority.findings
}

findings contains f if {
	input.context.task == null
	input.subject.type == "agent"
	some f in data.outrider.controls.without_task.findings
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
	input.action.properties.effect in {"admin", "pay"}
	some f in data.outrider.controls.untrusted_authority.findings
}

_not_effect_read contains f if {
	input.action.properties.effect in {"send", "share"}
	some f in data.outrider.controls.untrusted_link.findings
}

_not_class_read contains f if {
	not input.context.behaviour.highest_sensitivity_read == null
	not input.context.behaviour.highest_sensitivity_read == "public"
	not input.context.behaviour.highest_sensitivity_read == "internal"
	some f in data.outrider.controls.confidential_export.findings
}

_not_class_read contains f if some f in data.outrider.controls.dry_run.findings

_not_class_read contains f if {
	not data.outrider.lib.stays_inside
	some f in data.outrider.controls.leaked_secret.findings
}

_not_class_read contains f if {
	not input.context.behaviour.flags.untrusted_read == false
	some f in data.outrider.controls.strict_authority.findings
}

_not_class_read contains f if {
	not input.context.behaviour.flags.untrusted_read == false
	some f in data.outrider.controls.untrusted_authority.findings
}
