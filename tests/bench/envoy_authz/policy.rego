# METADATA
# title: The reference's policy
# description: |
#   Asks of a call what Outrider's allow leg asks: an active agent, what its grant covers, its
#   arguments. Cut to what Envoy can tell a policy, the request and a claimed name: no verified
#   identity, no task, no behaviour, no provenance. It does less than the library that ships, so a
#   ratio to it errs on the reference's side.
package envoy.authz

import rego.v1

default decision := {"allowed": false, "http_status": 403, "body": "refused"}

decision := {"allowed": true} if {
	agent.status == "active"
	in_grant
	count(breaks) == 0
}

request := input.attributes.request.http

agent := data.outrider.agents[request.headers["x-agent"]]

upstream := input.parsed_path[0]

in_grant if {
	some pattern in agent.grant.tools
	glob.match(pattern, [], resource)
	entry.effect in agent.grant.effects
}

operation := input.parsed_body.params.name if {
	upstream == "crm"
	request.method == "POST"
	input.parsed_body.method == "tools/call"
}

operation := sprintf("%s /%s", [request.method, concat("/", rest)]) if {
	upstream == "desk"
	rest := array.slice(input.parsed_path, 1, count(input.parsed_path))
}

resource := sprintf("%s/%s", [upstream, operation])

arguments := input.parsed_body.params.arguments if upstream == "crm"

arguments := input.parsed_body if upstream == "desk"

entry := data.outrider.manifest[upstream].tools[operation] if upstream == "crm"

entry := data.outrider.manifest[upstream].operations[operation] if upstream == "desk"

breaks contains pointer if {
	some pointer, bound in agent.grant.arguments[resource]
	not within(arguments[trim_prefix(pointer, "/")], bound)
}

breaks contains "destination" if {
	some name, spec in entry.arguments
	spec.role == "destination"
	not known_destination(arguments[name])
}

breaks contains "secret" if {
	some name, spec in entry.arguments
	spec.role == "content"
	contains(arguments[name], "PRIVATE KEY-----")
}

breaks contains "command" if {
	some name, spec in entry.arguments
	spec.role == "command"
	regex.match(`[;&|]`, arguments[name])
}

within(value, bound) if value in bound["in"]

within(value, bound) if value <= bound.max

within(value, bound) if count(value) <= bound.max_length

known_destination(value) if {
	some host in agent.grant.destinations
	endswith(value, sprintf("@%s", [host]))
}
