# METADATA
# title: Grave actions take a fresh login
# description: |
#   Denies an approved payment, administration or execution of which an approver has not logged in
#   within `limits.max_age_s`, or not by a way `limits.acr` names.
# labels:
#   owasp: [ASI03]
package outrider.controls.step_up

import data.outrider.lib

# METADATA
# id: AP-02
# custom:
#   refs: [ASI03, NHI10]
findings contains lib.finding("AP-02", "deny", "an approver has to log in again", {}) if {
	input.action.properties.effect in {"admin", "execute", "pay"}
	input.context.approval.state == "granted"
	not _are_fresh
}

_are_fresh if {
	is_array(input.context.approval.approvers)
	is_number(input.context.time.unix_s)
	every approver in input.context.approval.approvers {
		approver.acr in data.outrider.rules["AP-02"].limits.acr
		is_number(approver.auth_time)
		lib.within(input.context.time.unix_s - approver.auth_time, 0, data.outrider.rules["AP-02"].limits.max_age_s)
	}
}
