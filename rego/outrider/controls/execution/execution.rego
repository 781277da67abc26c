# METADATA
# title: Only commands the grant names are executed
# description: |
#   A declared `execute` tool runs if each of its command arguments has a value the grant lists
#   (`in` or `equals`). A tool without a command argument is never listed, so it never runs.
# labels:
#   owasp: [ASI05]
#   atlas: [AML.M0032]
package outrider.controls.execution

import data.outrider.lib

# METADATA
# id: EF-05
# custom:
#   refs: [ASI05, T11, AML.M0032]
findings contains lib.finding("EF-05", "deny", "the grant names no such command", {}) if {
	input.action.properties.effect == "execute"
	input.resource.properties.declared == true
	not _listed
}

_listed if {
	commands := lib.arguments_of("command")
	commands != {}
	every name, value in commands {
		_may_run(lib.pointer(name), value)
	}
}

# While listing, a command can be granted; which one shows in the call.
_may_run(pointer, _) if {
	input.action.properties.phase == "list"
	_granted[pointer] != set()
}

_may_run(pointer, value) if {
	input.action.properties.phase == "request"
	value in _granted[pointer]
}

_granted[pointer] contains value if {
	some pointer, constraint in _constraints
	is_object(constraint)
	is_array(constraint["in"])
	some value in constraint["in"]
}

_granted[pointer] contains value if {
	some pointer, constraint in _constraints
	is_object(constraint)

	# regal ignore:prefer-value-in-head
	value := constraint.equals
}

default _constraints := {}

_constraints := input.context.task.grant.arguments[input.resource.id] if {
	is_object(input.context.task.grant.arguments[input.resource.id])
}
