# METADATA
# title: How much one answer may bring
# description: |
#   Bounds bytes and records of the answer to a read, by the sensitivity of what is read, as
#   `limits.response_bytes` and `limits.records` name it. What they do not name the sidecar's own
#   limits bound.
# labels:
#   atlas: [AML.T0085.001]
package outrider.controls.answer_limits

import data.outrider.lib

# METADATA
# id: RL-03
# custom:
#   refs: [T4, AML.T0085.001]
findings contains lib.finding("RL-03", "oblige", "the answer is bounded", {"obligations": [obligation]}) if {
	input.action.properties.effect == "read"
	not input.resource.properties.sensitivity == "public"
	not data.outrider.rules["RL-03"].limits == {"response_bytes": {}, "records": {}}
	_bounds != {}
	obligation := object.union({"type": "limit"}, _bounds)
}

_bounds[name] := bound if {
	some name in ["response_bytes", "records"]
	bound := data.outrider.rules["RL-03"].limits[name][_sensitivity]
	is_number(bound)
}

default _sensitivity := "secret"

_sensitivity := input.resource.properties.sensitivity if {
	input.resource.properties.sensitivity in {"internal", "confidential"}
}
