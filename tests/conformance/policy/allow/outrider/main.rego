# METADATA
# title: Allow all, for the conformance suite
# description: >-
#   Every action the standing grant covers is allowed, so that what the suite sees through the
#   sidecar is the protocol alone. Not a policy to start from.
package outrider

# METADATA
# entrypoint: true
decision := {"effect": "allow"}
