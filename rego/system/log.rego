# METADATA
# title: What OPA's decision log leaves out
# description: |
#   Arguments, values taken from them, headers and approvers never reach OPA's log. A bundle adds
#   pointers of its own under `data.outrider.log.mask`; it cannot take one away. Masking works on
#   the log alone: answers are as they were.
package system.log

# METADATA
# description: JSON pointers into the logged event.
# scope: document
# entrypoint: true
mask contains pointer if some pointer in always

mask contains pointer if {
	some pointer in data.outrider.log.mask
	is_string(pointer)
}

# METADATA
# description: What is left out whatever a bundle says.
always := {
	"/input/action/properties/arguments",
	"/input/action/properties/destinations",
	"/input/context/approval/approvers",
	"/input/context/request/headers",
	"/input/context/request/parsed_path",
	"/input/context/request/parsed_query",
	"/input/context/request/path",
	"/input/context/task/purpose",
}
