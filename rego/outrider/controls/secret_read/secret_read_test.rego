package outrider.controls.secret_read_test

import data.outrider.testing_test as given

secret := given.with_resource(given.mcp_call, {"sensitivity": "secret"})

test_reading_a_secret_is_held if given.verdict(secret) == {"effect": "hold", "codes": {"EF-06"}}

test_reading_what_is_confidential_is_not if {
	given.verdict(given.with_resource(secret, {"sensitivity": "confidential"})).effect == "allow"
}

test_the_handshake_is_no_read_of_data if {
	given.verdict(object.union(secret, {"resource": {"type": "api", "id": "notes/initialize"}})).effect == "allow"
}

test_sensitivity_that_is_not_known_is_held if {
	given.verdict(given.with_resource(secret, {"sensitivity": null})).effect == "hold"
	given.verdict(given.with_resource(secret, {"sensitivity": "Public"})).effect == "hold"
	given.verdict(json.remove(secret, ["resource/properties/sensitivity"])).effect == "hold"
}
