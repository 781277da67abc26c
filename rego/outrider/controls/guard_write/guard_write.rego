# METADATA
# title: What guards the agents is not theirs to change
# description: |
#   A change to anything tagged `guard` (policy, CI, ignore files, approvers, audit sinks) is denied.
#   After that every change of the task is held.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.guard_write

import data.outrider.lib

# METADATA
# id: SQ-14
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-14", "deny",
	"what guards the agents is not theirs to change",
	{"obligations": [lib.notify("security", "high")]},
) if {
	not input.action.properties.class == "read"
	not input.resource.properties.tags == []
	not _is_no_guard
}

# METADATA
# id: SQ-14
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-14", "hold", "this task has touched what guards the agents", {}) if {
	not input.action.properties.class == "read"
	not input.action.properties.phase == "list"
	not input.context.behaviour.tags == {}
	not _was_left_alone
}

_is_no_guard if {
	is_array(input.resource.properties.tags)
	not _is_guard
}

_is_guard if "guard" in input.resource.properties.tags

_was_left_alone if {
	is_object(input.context.behaviour.tags)
	not input.context.behaviour.tags.guard
}
