# METADATA
# title: A task keeps to its own tenant, and to few people
# description: |
#   What belongs to another tenant than the one the agent works for is denied, and so is everything
#   once a task has read about more than `limits.subjects` people.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.other_tenant

import data.outrider.lib

# METADATA
# id: SQ-18
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-18", "deny", "this belongs to another tenant", {}) if {
	not input.resource.properties.tenant == null
	not _is_own_tenant
}

# METADATA
# id: SQ-18
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-18", "deny", "this task has read about too many people", {}) if {
	not input.context.behaviour.signals.distinct_subjects == 0
	not input.context.behaviour.signals.distinct_subjects == 1
	not input.action.properties.phase == "list"
	not data.outrider.lib.is_handshake
	not _are_few_people
}

_is_own_tenant if {
	is_string(input.resource.properties.tenant)
	input.resource.properties.tenant == input.context.task.principal.tenant
}

_are_few_people if {
	people := input.context.behaviour.signals.distinct_subjects
	lib.within(people, 0, data.outrider.rules["SQ-18"].limits.subjects)
}
