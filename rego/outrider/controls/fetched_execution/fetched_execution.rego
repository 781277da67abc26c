# METADATA
# title: What came from untrusted content is not executed
# description: |
#   After untrusted content was read, an execution whose command or file this task made itself is
#   denied: its content may be what was read. So is a change to anything that starts by itself.
# labels:
#   owasp: [ASI05, ASI02]
package outrider.controls.fetched_execution

import data.outrider.lib

# METADATA
# id: SQ-24
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-24", "deny",
	"what is to be executed was made in this task, after untrusted content was read",
	{"pointer": at},
) if {
	input.action.properties.effect == "execute"
	not input.action.properties.phase == "list"
	not data.outrider.lib.untainted
	is_object(input.action.properties.provenance)
	some at, entry in input.action.properties.provenance
	not entry.role == "content"
	not entry.role == "control"
	not entry.role == "amount"
	not _was_there_before(entry)
}

# METADATA
# id: SQ-24
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-24", "deny", "nothing that starts by itself is changed by an agent", {}) if {
	not input.action.properties.class == "read"
	not input.resource.properties.tags == []
	not _starts_nothing
}

_was_there_before(entry) if entry.label in {"user", "record", "platform", "untrusted", "model"}

_starts_nothing if {
	is_array(input.resource.properties.tags)
	not _starts_by_itself
}

_starts_by_itself if "autostart" in input.resource.properties.tags
