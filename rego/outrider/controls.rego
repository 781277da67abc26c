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
	input.action.properties.effect == "admin"
	some f in data.outrider.controls.administration.findings
}

findings contains f if {
	input.action.properties.effect == "send"
	some f in data.outrider.controls.customer_send.findings
}

findings contains f if some f in data.outrider.controls.deployment.findings

findings contains f if {
	input.action.properties.effect == "execute"
	some f in data.outrider.controls.execution.findings
}

findings contains f if some f in data.outrider.controls.identity_status.findings

findings contains f if {
	input.action.properties.effect == "delete"
	some f in data.outrider.controls.irreversible_delete.findings
}

findings contains f if {
	input.action.properties.effect == "write"
	some f in data.outrider.controls.irreversible_write.findings
}

findings contains f if {
	input.action.properties.effect == "pay"
	some f in data.outrider.controls.payment.findings
}

findings contains f if {
	input.action.properties.effect == "read"
	some f in data.outrider.controls.secret_read.findings
}

findings contains f if {
	input.action.properties.effect == "share"
	some f in data.outrider.controls.share_external.findings
}

findings contains f if some f in data.outrider.controls.undeclared.findings
