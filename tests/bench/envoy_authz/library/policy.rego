# METADATA
# title: The reference's policy, with the library that ships
# description: |
#   Outrider's own library, asked about the same calls with what Envoy can tell it: a request and
#   a claimed name. What a sidecar finds before it asks (operation, manifest entry, grant) has to
#   be found here, since nothing before the policy does it; behaviour, provenance, delegation and
#   schema stay neutral, and there is no task but the standing grant.
package envoy.authz

import rego.v1

default decision := {"allowed": false, "http_status": 403, "body": "refused"}

decision := {"allowed": true} if {
	covered
	answer := data.outrider.decision with input as query
	answer.effect == "allow"
}

request := input.attributes.request.http

name := request.headers["x-agent"]

agent := data.outrider.agents[name]

upstream := input.parsed_path[0]

operation := input.parsed_body.params.name if {
	upstream == "crm"
	request.method == "POST"
	input.parsed_body.method == "tools/call"
}

operation := sprintf("%s /%s", [request.method, concat("/", rest)]) if {
	upstream == "desk"
	rest := array.slice(input.parsed_path, 1, count(input.parsed_path))
}

kind := {"crm": "tool", "desk": "api"}[upstream]

arguments := input.parsed_body.params.arguments if kind == "tool"

arguments := input.parsed_body if kind == "api"

entry := data.outrider.manifest[upstream].tools[operation] if kind == "tool"

entry := data.outrider.manifest[upstream].operations[operation] if kind == "api"

resource := sprintf("%s/%s", [upstream, operation])

class := "read" if entry.effect == "read"

class := "write" if entry.effect in {"write", "send", "share", "pay", "delete"}

covered if {
	some pattern in agent.grant.tools
	glob.match(pattern, [], resource)
	entry.effect in agent.grant.effects
	count(breaks) == 0
}

breaks contains pointer if {
	some pointer, bound in agent.grant.arguments[resource]
	not within(arguments[trim_prefix(pointer, "/")], bound)
}

breaks contains address.value if {
	some address in addresses
	not address.host in agent.grant.destinations
}

within(value, bound) if value in bound["in"]

within(value, bound) if value <= bound.max

within(value, bound) if count(value) <= bound.max_length

addresses contains address if {
	some argument, spec in entry.arguments
	spec.role == "destination"
	value := arguments[argument]
	host := regex.replace(value, "^[^@]*@", "")
	address := {
		"pointer": sprintf("/%s", [argument]),
		"value": value,
		"host": host,
		"zone": object.get(data.outrider.zones.domains, host, "external"),
		"first_seen": false,
	}
}

own := {"pointer": null, "host": "127.0.0.1", "zone": "internal", "first_seen": false}

query := {
	"version": "outrider.input/v1",
	"subject": {
		"type": "agent",
		"id": name,
		"properties": {
			"trust_domain": "acme.test",
			"credential": "asserted",
			"owner": agent.owner,
			"sponsor": agent.sponsor,
			"tier": agent.tier,
			"environment": agent.environment,
			"status": agent.status,
		},
	},
	"action": {
		"name": object.get(input.parsed_body, "method", request.method),
		"properties": {
			"protocol": {"tool": "mcp", "api": "http"}[kind],
			"phase": "request",
			"effect": entry.effect,
			"class": class,
			"reversible": entry.reversible,
			"impact": entry.impact,
			"arguments": arguments,
			"body": "judged",
			"schema_valid": null,
			"destinations": array.concat([own], [address | some address in addresses]),
			"provenance": {},
			"provenance_incomplete": false,
		},
	},
	"resource": {
		"type": kind,
		"id": resource,
		"properties": {
			"upstream": upstream,
			"sensitivity": entry.sensitivity,
			"declared": true,
			"tags": [],
			"destination": own,
		},
	},
	"context": {
		"environment": "dev",
		"time": {"unix_s": input.attributes.request.time},
		"request": {"method": request.method, "path": request.path, "host": request.host},
		"task": {"state": "active", "standing": true, "grant": agent.grant, "purpose": agent.purpose},
		"model_call": null,
		"approval": {"state": "none", "id": null, "approvers": []},
	},
}
