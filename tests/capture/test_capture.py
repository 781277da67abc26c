"""The measured facts of KUBERNETES §7, each with its hostile twin: real kernel, real proxy."""

import sys
import threading

import pytest

from outrider.core.capture import CaptureMode
from outrider.injector.capture import ruleset
from tests.support.ground import wait_for
from tests.support.pod import GET, NAME, PROXY, V4, V6, Pod

pytestmark = [pytest.mark.capture, pytest.mark.timeout(240)]

TRIES = 10
BYPASS = "capture_bypass_attempts_total"
NOBODYS = "93.184.216.99"
"""An address outside that no name has."""
SEND = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as sock:
    try:
        sock.sendto(b"out", (host, port))
        print("sent")
    except OSError as fault:
        print(type(fault).__name__, fault.errno)
"""
TLS = """
import socket, ssl, sys
host, port, name, ca, said = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(ca)
context.check_hostname = bool(name)
try:
    with socket.create_connection((host, port), timeout=5) as sock:
        with context.wrap_socket(sock, server_hostname=name or None) as tls:
            tls.sendall(said.encode())
            print("heard", tls.recv(100).decode())
except OSError as fault:
    print(type(fault).__name__, getattr(fault, "reason", fault.errno))
"""
SETUID = (
    """
import os, socket, sys
"a".encode("idna")  # what is imported later cannot be read by then
try:
    os.setgid(2102)
    os.setuid(2102)
except OSError as fault:
    print(type(fault).__name__)
    sys.exit()
"""
    + GET
)
PACKET = """
import fcntl, socket, struct, sys
to, port, gateway = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3].replace(":", ""))
def check(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
try:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except OSError as fault:
    print(type(fault).__name__)
    sys.exit()
sock.bind(("pod0", 0))
own = sock.getsockname()[4]
said = b"by hand!"
datagram = struct.pack("!HHHH", 5555, port, 8 + len(said), 0) + said
head = lambda sum: struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, sum,
                               socket.inet_aton("10.88.0.2"), socket.inet_aton(to))
sock.send(gateway + own + b"\\x08\\x00" + head(check(head(0))) + datagram)
print("sent")
"""
# As the proxy's resolver does: who asks a server takes the first answer that comes from there.
ASK = """
import socket, sys
own, server = sys.argv[1], sys.argv[2]
with socket.socket(socket.AF_INET6 if ":" in own else socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind((own, 5353))
    sock.connect((server, 53))
    sock.settimeout(5)
    try:
        print(sock.recv(100).decode())
    except TimeoutError:
        print("nothing")
"""
# By an option that IPv6 gives to everybody (IPV6_FREEBIND), and IPv4 to NET_RAW (IP_TRANSPARENT).
FORGE = """
import socket, sys
own, server = sys.argv[1], sys.argv[2]
family, level, option = (
    (socket.AF_INET6, socket.IPPROTO_IPV6, 78) if ":" in own
    else (socket.AF_INET, socket.IPPROTO_IP, 19)
)
with socket.socket(family, socket.SOCK_DGRAM) as sock:
    try:
        sock.setsockopt(level, option, 1)
        sock.bind((server, 53))
        sock.sendto(b"forged", (own, 5353))
        print("sent")
    except OSError as fault:
        print(type(fault).__name__, fault.errno)
"""
# The sidecar's own connection is told by the pod's /proc/net; a record that is none, with much
# behind it, makes a server close with bytes unread, which resets the connection.
TAKE_OVER = """
import socket, ssl, sys, time
host, name, ca, own = sys.argv[1:5]
peer = "%08X:01BB" % int.from_bytes(socket.inet_aton(host), "little")
def ports():
    rows = [line.split() for line in open("/proc/self/net/tcp").read().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[2] == peer and row[7] == "2102"}
def tls(sock, server_name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    return context.wrap_socket(sock, server_hostname=server_name)
before = ports()
granted = tls(socket.create_connection((host, 443), timeout=5), name)
granted.sendall(b"hi")
granted.recv(10)
taken = ports() - before
raw = socket.socket(fileno=granted.detach())
raw.settimeout(3)
try:
    raw.sendall(b"\\x17\\x03\\x03\\xff\\xff" + b"A" * 4_000_000)
except OSError:
    pass
raw.close()
said = "no connection of the sidecar's" if not taken else ""
ends = time.monotonic() + 2
while taken and not said.startswith("heard") and time.monotonic() < ends:
    for port in taken:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.settimeout(3)
            try:
                sock.bind((own, port))
                sock.connect((host, 443))
                past = tls(sock, "evil.example")
                past.sendall(b"past it")
                said = f"heard {past.recv(100).decode()}"
            except OSError as fault:
                said = f"{type(fault).__name__} {fault.errno}"
    time.sleep(0.1)
print(said)
"""
BY_PROXY = (
    "granted = tls(socket.create_connection((host, 443), timeout=5), name)",
    """
sock = socket.create_connection(("127.0.0.1", 15001), timeout=5)
sock.sendall(f"CONNECT {name}:443 HTTP/1.1\\r\\nHost: {name}:443\\r\\n\\r\\n".encode())
sock.recv(200)
granted = tls(sock, name)""",
)
# As much as the kernel takes, most of it not sent yet, and the socket closed.
TAIL = """
import socket, sys
with socket.create_connection((sys.argv[1], 7), timeout=5) as sock:
    sock.setblocking(False)
    count = 0
    try:
        while True:
            count += sock.send(b"x" * 65_536)
    except BlockingIOError:
        print(count)
"""


def test_fact_1_the_filter_still_sees_a_redirected_connections_first_interface(pod: Pod) -> None:
    whole = ruleset(CaptureMode.TRANSPARENT, nameservers=("10.88.0.1",))
    without = whole.replace("  ct status dnat accept\n", "")
    assert without != whole
    pod.rules(without).checked()
    assert "200" not in pod.python(GET, V4, "80", "/", NAME).out
    assert pod.heard() == []
    pod.rules(whole).checked()
    assert pod.python(GET, V4, "80", "/", NAME).out == "200 world\n"


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("uid", [0, 1000, 65_534])
def test_fact_2_and_4_every_uid_is_captured_by_either_family_once(
    pod: Pod, address: str, uid: int
) -> None:
    before = len(pod.decisions())
    assert pod.python(GET, address, "80", "/", NAME, uid=uid).out == "200 world\n"
    asked = [line for line in pod.heard() if line.startswith("http ")]
    assert len(asked) == 1  # and the proxy's own connection was not looped
    (decision,) = pod.decisions()[before:]
    assert decision["decision"]["enforced"] == "allow"  # type: ignore[index,call-overload]


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_what_no_route_leads_to_is_denied_recorded_and_counted(pod: Pod, address: str) -> None:
    counted = pod.counted(BYPASS)
    answer = pod.python(GET, address, "80", "/", "evil.example").out
    assert answer.startswith("404")
    assert pod.heard() == []
    last = pod.decisions()[-1]
    assert last["decision"]["reason"] == "unrecognised"  # type: ignore[index,call-overload]
    assert last["action"]["resource"] == "evil.example"  # type: ignore[index,call-overload]
    assert pod.counted(BYPASS) == counted + 1


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        pytest.param(NOBODYS, "80", NAME, id="another-address-under-a-granted-name"),
        pytest.param(V4, "8080", NAME, id="another-port-under-the-name-of-the-first"),
        pytest.param(V4, "22", f"{NAME}:22", id="a-port-that-is-not-routed"),
        pytest.param(V4, "80", "127.0.0.1:15001", id="our-own-name"),
    ],
)
def test_a_captured_request_leads_where_it_was_going_or_nowhere(
    pod: Pod, address: str, port: str, name: str
) -> None:
    answer = pod.python(GET, address, port, "/", name).out
    assert answer[:3] in {"404", "421"}, answer
    assert pod.heard() == []


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_raw_tls_is_a_tunnel_to_its_name(pod: Pod, address: str) -> None:
    said = pod.python(TLS, address, "443", NAME, f"{pod.folder}/ca.pem", "hello").out
    assert said == "heard hello\n"
    own = "10.88.0.2" if address == V4 else "fd88::2"
    assert pod.heard() == [f"tls {own} {address}"]  # the very address it was going to


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        pytest.param(V4, "443", "", id="no-name"),
        pytest.param(V4, "443", "evil.example", id="another-name"),
        pytest.param(NOBODYS, "443", NAME, id="another-address"),
        pytest.param(V4, "8443", NAME, id="another-port"),
    ],
)
def test_raw_tls_elsewhere_is_refused_before_anything_is_dialled(
    pod: Pod, address: str, port: str, name: str
) -> None:
    counted = pod.counted(BYPASS)
    said = pod.python(TLS, address, port, name, f"{pod.folder}/ca.pem", "hello").out
    assert "heard" not in said
    assert pod.heard() == []
    assert pod.counted(BYPASS) == counted + 1


def test_an_agent_that_rewrites_hosts_leads_a_granted_name_nowhere(pod: Pod) -> None:
    hosts = pod.folder / "hosts"  # one file for all containers of a pod
    before = hosts.read_text()
    elsewhere = "2606:2800:220:1::8"
    pod.ground.run("ip", "addr", "add", f"{elsewhere}/128", "dev", "lo", "nodad").checked()
    try:
        hosts.write_text(f"{before}{elsewhere} {NAME} {NAME}.\n")
        ask = (elsewhere, "443", NAME, f"{pod.folder}/ca.pem", "hello")
        assert "heard" not in pod.python(TLS, *ask).out
        assert "names_changed" in pod.proxied()
    finally:
        hosts.write_text(before)
        # put back, and still no name means anything in this life of the proxy
        late = pod.python(TLS, V4, "443", NAME, f"{pod.folder}/ca.pem", "hello").out
        pod.stop_proxy()
    assert "heard" not in late
    assert pod.heard() == []


def test_what_is_neither_http_nor_tls_gets_nowhere(pod: Pod) -> None:
    code = (
        "import socket\n"
        f"with socket.create_connection(('{V4}', 22), timeout=5) as s:\n"
        "    s.sendall(b'SSH-2.0-x\\r\\n\\r\\n')\n"
        "    print(s.recv(12).decode())"
    )
    assert pod.python(code).out.startswith(("HTTP/1.1 4", "HTTP/1.1 5"))
    assert pod.heard() == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_fact_3_who_dials_the_listener_means_it(pod: Pod, address: str) -> None:
    shown = f"[{address}]" if ":" in address else address
    explicit = pod.python(GET, address, "15001", f"http://{NAME}/", NAME).out
    assert explicit == "200 world\n"
    own = pod.python(GET, address, "15001", "/", f"{shown}:15001").out
    assert own.startswith("404")
    tls = pod.python(TLS, address, "15001", NAME, f"{pod.folder}/ca.pem", "hello").out
    assert "heard" not in tls  # a handshake that was going to us is for nobody
    assert [line.split()[0] for line in pod.heard()] == ["connected", "http"]


@pytest.mark.parametrize(
    ("address", "port", "passes"),
    [
        pytest.param(V4, "443", False, id="quic"),
        pytest.param(V6, "443", False, id="quic-v6"),
        pytest.param(V4, "9999", False, id="any-port"),
        pytest.param(V4, "53", False, id="another-dns-server"),
        pytest.param("10.88.0.1", "9999", False, id="another-port-of-the-dns-server"),
        pytest.param("10.88.0.1", "53", True, id="the-dns-server"),
        pytest.param("127.0.0.1", "9999", True, id="loopback"),
    ],
)
@pytest.mark.parametrize("uid", [0, 1000])
def test_fact_4_datagrams_go_to_dns_alone(
    pod: Pod, address: str, port: str, passes: bool, uid: int
) -> None:
    assert pod.python(SEND, address, port, uid=uid).out == (
        "sent\n" if passes else "PermissionError 1\n"
    )
    heard = passes and address != "127.0.0.1"
    if heard:
        wait_for(pod.heard, "the datagram", within_s=5)
    assert bool(pod.heard()) is heard


@pytest.mark.parametrize(
    ("own", "server", "uid", "bounding"),
    [
        pytest.param("fd88::2", "fd88::1", 1000, "-all,+dac_read_search", id="v6"),
        pytest.param("10.88.0.2", "10.88.0.1", 0, "-all,+net_raw,+dac_read_search", id="v4"),
    ],
)
def test_nobody_in_the_pod_answers_in_the_name_of_its_dns_server(
    pod: Pod, own: str, server: str, uid: int, bounding: str
) -> None:
    open_ports = "net.ipv4.ip_unprivileged_port_start=0"  # as container runtimes have it
    pod.ground.run("nsenter", f"--net={pod.folder}/pod.net", "sysctl", "-qw", open_ports).checked()
    whole = ruleset(CaptureMode.TRANSPARENT, nameservers=(server,))
    without = "\n".join(line for line in whole.splitlines() if not line.endswith("} drop"))
    for rules, heard, sent in (
        (whole, "nothing\n", "PermissionError 1\n"),
        (without, "forged\n", "sent\n"),
    ):
        pod.rules(rules).checked()
        asker = pod.ground.start(
            f"asker-{heard.strip()}-v{6 if ':' in own else 4}",
            *pod.inside(sys.executable, "-I", "-c", ASK, own, server, uid=PROXY),
        )
        said = set()
        while asker.is_running:
            said.add(pod.python(FORGE, own, server, uid=uid, bounding=bounding).out)
        assert asker.said() == heard
        assert sent in said


@pytest.mark.parametrize("mode", [CaptureMode.TRANSPARENT, CaptureMode.ENFORCE_DROP])
def test_nobody_takes_the_place_of_a_connection_of_the_sidecars_that_was_reset(
    pod: Pod, mode: CaptureMode
) -> None:
    whole = ruleset(mode, nameservers=("10.88.0.1",))
    agents = "ct state established meta skuid != 2102"
    without = "\n".join(line for line in whole.splitlines() if agents not in line)
    ask = (V4, NAME, f"{pod.folder}/ca.pem", "10.88.0.2")
    by = TAKE_OVER if mode is CaptureMode.TRANSPARENT else TAKE_OVER.replace(*BY_PROXY)
    pod.rules(without).checked()
    tried = [pod.python(by, *ask).out]
    while "heard past it\n" not in tried:  # who closes first, the server or the sidecar, is a race
        assert len(tried) < TRIES, tried
        tried.append(pod.python(by, *ask).out)
    pod.rules(whole).checked()
    for _ in tried:
        assert not pod.python(by, *ask).out.startswith("heard")


def test_what_a_closed_socket_of_the_sidecars_still_has_to_say_is_sent(pod: Pod) -> None:
    whole = ruleset(CaptureMode.TRANSPARENT, nameservers=("10.88.0.1",))
    nobodys = "  ct state established,related accept\n"
    without = whole.replace(nobodys, nobodys.replace("ct state", "ct direction reply ct state"))
    assert without != whole
    for rules, all_of_it in ((whole, True), (without, False)):
        pod.rules(rules).checked()
        pod.silence()
        sent = int(pod.python(TAIL, V4, uid=PROXY).out)
        if all_of_it:
            wait_for(pod.heard, "what was sent", within_s=30)
            assert pod.heard() == [f"read 10.88.0.2 {sent}"]
        else:
            assert sent > 65_536
            threading.Event().wait(5)
            assert pod.heard() == []


def test_fact_5_who_may_become_the_proxy_goes_round_and_who_may_not_does_not(pod: Pod) -> None:
    ask = (V4, "80", "/", NAME)
    escaped = pod.python(SETUID, *ask, uid=0, bounding="-all,+setuid,+setgid,+dac_read_search")
    assert escaped.out == "200 world\n"
    before = len(pod.decisions())
    closed = pod.python(SETUID, *ask, uid=0, bounding="-all,+dac_read_search")
    assert closed.out == "PermissionError\n"
    assert len(pod.decisions()) == before
    assert pod.python(SETUID, *ask, uid=1000).out == "PermissionError\n"


def test_fact_6_a_hand_made_frame_goes_round_and_without_net_raw_there_is_none(pod: Pod) -> None:
    link = pod.ground.run("cat", "/sys/class/net/world0/address")
    gateway = link.out.strip() or _address_of(pod)
    ask = (V4, "9999", gateway)
    escaped = pod.python(PACKET, *ask, uid=0, bounding="-all,+net_raw,+dac_read_search")
    assert escaped.out == "sent\n"
    wait_for(pod.heard, "the frame", within_s=5)
    assert "by hand!" in pod.heard()[0]
    pod.silence()
    closed = pod.python(PACKET, *ask, uid=0, bounding="-all,+dac_read_search")
    assert closed.out == "PermissionError\n"
    assert pod.heard() == []


def _address_of(pod: Pod) -> str:
    shown = pod.ground.run("ip", "-o", "link", "show", "world0").checked()
    return shown.partition("link/ether ")[2].split()[0]


@pytest.mark.parametrize("uid", [0, PROXY])
def test_fact_7_without_net_admin_the_rules_stay(pod: Pod, uid: int) -> None:
    rules = pod.listed()
    assert "redirect to :15001" in rules
    refused = pod.rules("flush ruleset", uid=uid, bounding="-all,+dac_read_search")
    assert refused.code != 0
    assert pod.listed() == rules
    assert pod.rules("flush ruleset").code == 0  # who has it can
    assert pod.listed() == ""


def test_the_ruleset_replaces_itself(pod: Pod) -> None:
    once = pod.listed()
    pod.load(CaptureMode.TRANSPARENT).checked()
    pod.load(CaptureMode.TRANSPARENT).checked()
    assert pod.listed() == once
    assert once.count("table ") == 1
    pod.load(CaptureMode.ENFORCE_DROP).checked()
    assert "redirect" not in pod.listed()


def test_the_probes_places_are_never_forwarded_to(pod: Pod) -> None:
    counted = pod.counted("exchanges_total")
    for address, host in (("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]")):
        answer = pod.python(GET, address, "9", "/x", NAME).out
        assert answer.startswith('200 {"instance"')
        assert pod.python(GET, address, "80", "/", host).out[:3] in {"404", "421"}
    assert pod.heard() == []
    assert pod.counted("exchanges_total") == counted + 2  # a probe is nobody's exchange


def test_verify_is_content_with_capture_and_with_nothing_less(pod: Pod) -> None:
    good = pod.outrider("capture", "verify", "--mode", "transparent")
    assert (good.code, good.err) == (0, "")
    assert pod.metric("capture_verified_timestamp_seconds") > 0
    wrong = pod.outrider("capture", "verify", "--mode", "enforce-drop")
    assert (wrong.code, "another mode" in wrong.err) == (1, True)
    pod.rules("flush ruleset").checked()
    gone = pod.outrider("capture", "verify", "--mode", "transparent", "--timeout", "8")
    assert gone.code == 1
    assert "TCP to 192.0.2.1 did not reach the sidecar" in gone.err
    assert "UDP to 192.0.2.1 got out" in gone.err
    assert "UDP to 2001:db8::1 got out" in gone.err


def test_verify_is_not_content_with_half_of_it(pod: Pod) -> None:
    whole = ruleset(CaptureMode.TRANSPARENT, nameservers=("10.88.0.1",))
    only_v4 = whole.replace(
        "  meta l4proto tcp redirect", "  meta nfproto ipv4 meta l4proto tcp redirect"
    )
    assert only_v4 != whole
    pod.rules(only_v4).checked()
    half = pod.outrider("capture", "verify", "--mode", "transparent")
    assert half.code == 1
    assert "2001:db8::1" in half.err
    assert "192.0.2.1" not in half.err


def test_verify_says_where_no_sidecar_is(pod: Pod) -> None:
    said = pod.outrider("capture", "verify", "--mode", "transparent", "--telemetry", "127.0.0.1:9")
    assert said.code == 1
    assert "the sidecar does not answer" in said.err


def test_without_a_listener_on_ipv6_what_goes_there_is_refused(bare: Pod) -> None:
    bare.start_proxy(CaptureMode.TRANSPARENT, listeners=("127.0.0.1:15001",))
    bare.load(CaptureMode.TRANSPARENT).checked()
    bare.silence()
    try:
        assert bare.python(GET, V4, "80", "/", NAME).out == "200 world\n"
        assert bare.python(GET, V6, "80", "/", NAME).out.startswith("ConnectionRefusedError")
        assert [line.split()[0] for line in bare.heard()] == ["connected", "http"]
    finally:
        bare.stop_proxy()


def test_enforce_drop_refuses_what_does_not_go_by_the_proxy(bare: Pod) -> None:
    bare.start_proxy(CaptureMode.ENFORCE_DROP)
    bare.load(CaptureMode.ENFORCE_DROP).checked()
    bare.silence()
    try:
        for address in (V4, V6):
            assert "200" not in bare.python(GET, address, "80", "/", NAME).out
            assert bare.python(SEND, address, "443").out == "PermissionError 1\n"
        assert bare.heard() == []
        by_proxy = bare.python(GET, "127.0.0.1", "15001", f"http://{NAME}/", NAME)
        assert by_proxy.out == "200 world\n"
        good = bare.outrider("capture", "verify", "--mode", "enforce-drop")
        assert (good.code, good.err) == (0, "")
        bare.rules("flush ruleset").checked()
        gone = bare.outrider("capture", "verify", "--mode", "enforce-drop", "--timeout", "8")
        assert gone.code == 1
        assert "was not refused" in gone.err
    finally:
        bare.stop_proxy()


def test_rules_that_vanish_under_a_running_pod_make_it_not_ready(bare: Pod) -> None:
    bare.start_proxy(CaptureMode.TRANSPARENT, watch=True)
    bare.load(CaptureMode.TRANSPARENT).checked()
    command = bare.inside(*bare.program("capture", "verify", "--mode", "transparent", "--watch"))
    watcher = bare.ground.start("watcher", *command)
    try:
        wait_for(lambda: bare.metric("capture_verified_timestamp_seconds"), "a probe", within_s=30)
        threading.Event().wait(12)  # the next one comes too
        assert bare.telemetry("/readyz").startswith("200")
        bare.rules("flush ruleset").checked()
        wait_for(lambda: bare.telemetry("/readyz").startswith("503"), "not ready", within_s=60)
        assert "capture" in bare.telemetry("/readyz")
        assert bare.metric("capture_failures_total") >= 3
        wait_for(lambda: not watcher.is_running, "the watcher's end", within_s=60)
        assert watcher.stop() == 1
    finally:
        watcher.stop()
        bare.stop_proxy()
