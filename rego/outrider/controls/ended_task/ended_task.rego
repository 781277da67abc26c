# METADATA
# title: Nothing is done under a task that is over
# description: |
#   A call under a task that has ended, or past its deadline, is denied. The sidecar refuses it first;
#   this serves front doors.
# labels:
#   owasp: [ASI01, ASI02]
package outrider.controls.ended_task

import data.outrider.lib

# METADATA
# id: SQ-15
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-15", "deny",
	"the task has ended",
	{"obligations": [lib.notify("security", "high")]},
) if {
	input.context.task.state == "ended"
}

# METADATA
# id: SQ-15
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-15", "deny",
	"the task's deadline is past",
	{"obligations": [lib.notify("security", "high")]},
) if {
	is_object(input.context.task)
	not input.context.task.deadline == null
	not _has_time_left
}

_has_time_left if {
	is_string(input.context.task.deadline)
	is_number(input.context.time.unix_s)
	time.parse_rfc3339_ns(input.context.task.deadline) > input.context.time.unix_s * 1000000000
}
