# METADATA
# title: Which sidecars may ask this OPA for decisions
# description: |
#   For an OPA that sidecars reach over mutual TLS (`policy.opa.mode: remote`). OPA has verified the
#   chain of the client's certificate against its CA file; who the client is stands in the one URI of
#   the leaf. Identities and paths are compared whole. The callers are a set of SPIFFE IDs at
#   `data.callers.spiffe_ids`, in files of the operator's beside this one.
package system.authz

default allow := false

# METADATA
# entrypoint: true
allow if {
	input.method == "POST"
	input.path in decisions
	caller in data.callers.spiffe_ids
}

# METADATA
# description: The SPIFFE ID of the client; undefined where its leaf names another number than one.
caller := id if {
	names := input.client_certificates[0].URIs
	count(names) == 1
	id := sprintf("%s://%s%s", [names[0].Scheme, names[0].Host, names[0].Path])
}

# METADATA
# description: The two documents that are asked for.
decisions := {
	["v1", "data", "outrider", "decision"],
	["v1", "data", "outrider", "task"],
}
