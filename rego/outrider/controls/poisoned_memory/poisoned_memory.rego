# METADATA
# title: Memory does not make untrusted content trusted
# description: |
#   An argument that decides an action is held where its value comes from memory that was written
#   after untrusted content had been read.
# labels:
#   owasp: [ASI06, ASI01]
package outrider.controls.poisoned_memory

import data.outrider.lib

# METADATA
# id: SQ-28
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding(
	"SQ-28", "hold",
	sprintf("%s comes from memory that untrusted content may have reached", [at]),
	{"pointer": at},
) if {
	not input.action.properties.phase == "list"
	not data.outrider.lib.plain_arguments
	is_object(input.action.properties.provenance)
	is_object(input.action.properties.provenance)
	some at, entry in input.action.properties.provenance
	not _decides_nothing(entry)
	not _is_clean(entry)
	not _is_elsewhere(entry)
}

_decides_nothing(entry) if entry.role in {"content", "amount", "control"}

_decides_nothing(entry) if {
	input.action.properties.class == "read"
	entry.role in {"target", "selector"}
}

_is_clean(entry) if entry.label in {"user", "record", "session", "platform"}

_is_elsewhere(entry) if {
	is_array(entry.sources)
	every source in entry.sources {
		is_string(source)
		not startswith(source, "mem_")
	}
}
