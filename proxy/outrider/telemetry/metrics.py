"""Every metric of a sidecar, with closed labels (OPERATIONS §1-§3): the areas under `families`.

Laws: names start `outrider_`; a label is an enum of `core`, a name from our own settings, or a
catalogue entry of the active bundle that passed the `LabelGuard`; children that can occur are
bound at start, so they exist at zero. An attacker's text is never a label.
"""

from outrider.telemetry.families.audit import AuditFamilies
from outrider.telemetry.families.bundles import BundleFamilies
from outrider.telemetry.families.capture import CaptureFamilies
from outrider.telemetry.families.decisions import DecisionFamilies
from outrider.telemetry.families.edge import EdgeFamilies
from outrider.telemetry.families.identity import IdentityFamilies
from outrider.telemetry.families.process import SidecarFamilies
from outrider.telemetry.families.tasks import TaskFamilies
from outrider.telemetry.families.tracing import TracingFamilies
from outrider.telemetry.families.upstreams import UpstreamFamilies


class Metrics(
    DecisionFamilies,
    BundleFamilies,
    EdgeFamilies,
    UpstreamFamilies,
    CaptureFamilies,
    AuditFamilies,
    TaskFamilies,
    IdentityFamilies,
    TracingFamilies,
    SidecarFamilies,
):
    """The registry and the methods named for events. One instance a sidecar's process."""
