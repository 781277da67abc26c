# METADATA
# title: The reference's policy
# description: >
#   What the measured calls of Outrider's allow leg are judged by, cut to what Envoy can tell a
#   policy: the request and a claimed name. No verified identity, task, behaviour or provenance.
package envoy.authz

import rego.v1

default decision := {"allowed": false, "http_status": 403, "body": "refused"}

decision := {"allowed": true} if {
	agent.status == "active"
	in_grant
	count(breaks) == 0
}

request := input.attributes.request.http

agent := data.agents[request.headers["x-agent"]]

upstream := input.parsed_path[0]

in_grant if {
	some pattern in agent.grant.tools
	glob.match(pattern, ["/"], sprintf("%s/%s", [upstream, operation]))
	entry.effect in agent.grant.effects
}

operation := input.parsed_body.params.name if {
	upstream == "crm"
	request.method == "POST"
	input.parsed_body.method == "tools/call"
}

operation := concat("_", array.slice(input.parsed_path, 1, count(input.parsed_path))) if {
	upstream == "desk"
	request.method == "POST"
}

arguments := input.parsed_body.params.arguments if upstream == "crm"

arguments := input.parsed_body if upstream == "desk"

entry := data.manifest[upstream].tools[operation]

breaks contains "argument" if {
	some name, bound in agent.grant.arguments[sprintf("%s/%s", [upstream, operation])]
	not arguments[name] in bound["in"]
}

breaks contains "amount" if {
	some name, spec in entry.arguments
	spec.role == "amount"
	arguments[name] > agent.grant.limit
}

breaks contains "destination" if {
	some name, spec in entry.arguments
	spec.role == "destination"
	not known_destination(arguments[name])
}

known_destination(value) if {
	some suffix in agent.grant.destinations
	endswith(value, suffix)
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
