# METADATA
# title: A tunnel is declared, and never as a read
# description: |
#   What passes a tunnel (CONNECT, captured TLS) is read by nobody, so that it may send as well as
#   fetch. One that the manifest does not name is denied everywhere, and so is one that it calls a
#   read: whoever grants it grants what cannot be seen.
# labels:
#   owasp: [ASI02]
#   csf: [PR.DS]
package outrider.controls.unread_tunnel

import data.outrider.lib

# METADATA
# id: TS-08
# custom:
#   refs: [ASI02, T2, PR.DS]
findings contains lib.finding("TS-08", "deny", "the manifest does not name this tunnel", {}) if {
	input.action.properties.protocol == "connect"
	not input.resource.properties.declared == true
}

# METADATA
# id: TS-08
# custom:
#   refs: [ASI02, T2, PR.DS]
findings contains lib.finding("TS-08", "deny", "nobody reads a tunnel, so it is no read", {}) if {
	input.action.properties.protocol == "connect"
	not _may_change_something
}

_may_change_something if input.action.properties.class in {"write", "execute"}
