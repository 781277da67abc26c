# METADATA
# title: Who has changed something does not remove its traces
# description: |
#   Backups and logs are not deleted by a task that has changed anything. What cannot be seen any more
#   counts as a change.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.trace_removal

import data.outrider.lib

# METADATA
# id: SQ-21
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-21", "deny",
	"this task has changed things: it may not remove backups or logs",
	{"obligations": [lib.notify("security", "high")]},
) if {
	not input.action.properties.class == "read"
	not input.resource.properties.tags == []
	not input.action.properties.phase == "list"
	_removes_traces
	not _changed_nothing
}

_removes_traces if {
	not _is_no_delete
	not _is_no_trace
}

_is_no_delete if input.action.properties.effect in {"admin", "execute", "pay", "read", "send", "share", "write"}

_is_no_trace if {
	is_array(input.resource.properties.tags)
	not _is_trace
}

_is_trace if {
	some tag in input.resource.properties.tags
	tag in {"backup", "log"}
}

_changed_nothing if {
	is_array(input.context.behaviour.recent)
	count(input.context.behaviour.recent) < 8
	every event in input.context.behaviour.recent {
		event.effect == "read"
	}
}
