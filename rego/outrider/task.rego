package outrider

import data.outrider.lib

# METADATA
# title: Only narrower without a person
# description: |
#   Asked when a task is registered (`tasks/create`). The task gets what was asked for, as far as
#   its template and its parent reach: the sidecar has worked that out (`granted`) and gives no
#   more, whatever is answered here. What was asked for beyond the template takes a person.
# scope: document
# entrypoint: true
# id: TS-05
default task := {
	"effect": "deny",
	"reasons": [{
		"code": "TS-05",
		"message": "whoever asks may not register this task for this agent",
		"severity": "medium",
		"refs": ["ASI03", "GOVERN 1.4"],
		"mode": "enforce",
	}],
	"obligations": [],
	"revision": "",
}

task := {
	"effect": "allow",
	"reasons": [],
	"obligations": [{"type": "narrow", "grant": input.action.properties.arguments.granted}],
	"revision": revision,
} if {
	_may_have_a_task
	_may_register
	input.action.properties.arguments.exceeds == []
} else := {
	"effect": "hold",
	"reasons": [_exceeded],
	"obligations": [lib.approval({})],
	"revision": revision,
} if {
	_may_have_a_task
	_may_ask
}

_exceeded := {
	"code": "TS-05",
	"message": _beyond,
	"severity": "medium",
	"refs": ["ASI03", "GOVERN 1.4"],
	"mode": "enforce",
} if {
	is_string(_beyond)
}

_beyond := "there is no such template, or none was named" if {
	"template" in input.action.properties.arguments.exceeds
} else := concat(" ", [_wider, exceeded, "(what an ask leaves out it asks for whole)"]) if {
	exceeded := concat(", ", input.action.properties.arguments.exceeds)
}

_wider := "more is asked for than the template gives:"

# The agent is one we know, and is not on its way out.
_may_have_a_task if {
	input.version == "outrider.input/v1"
	input.action.name == "tasks/create"
	is_string(input.action.properties.arguments.agent)
	data.outrider.agents[input.action.properties.arguments.agent].status == "active"
}

# By its template, or within a parent's grant: by who registers tasks, or by the parent's own agent.
_may_register if {
	_by_template
} else if {
	_within_parent
}

_by_template if {
	some by in _template.register.by
	by == input.subject.id
	some agents in _template.register.agents
	_fits(agents, input.action.properties.arguments.agent)
	_in_whose_name
}

_template := data.outrider.templates[input.action.properties.arguments.template]

_in_whose_name if {
	input.action.properties.arguments.principal == null
} else if {
	some names in _template.register.principals
	_fits(names, input.action.properties.arguments.principal)
}

_within_parent if {
	input.action.properties.arguments.template == null
	is_string(input.context.task.id)
	input.subject.id in {"control:operator", input.action.properties.arguments.parent_agent}
}

# What a person may be asked about: a template that is not there, or more than it gives.
_may_ask if {
	_may_register
} else if {
	input.subject.id == "control:operator"
	"template" in input.action.properties.arguments.exceeds
}

# METADATA
# description: Whether `name` is `pattern`, or begins as one that ends in `*` does.
# scope: document
_fits(pattern, name) if {
	pattern == name
} else if {
	endswith(pattern, "*")
	startswith(name, substring(pattern, 0, count(pattern) - 1))
}
