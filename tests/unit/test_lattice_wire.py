"""What the emulated host writes, against the worked bytes of wasmbus-0x.md appendix A."""

from __future__ import annotations

import base64
import time
import uuid

import msgpack
import pytest

from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice.handshake import HostFacts, ProviderProgram, host_data, stdin_line
from provider_sdk.lattice.health import event_name, read_health
from provider_sdk.lattice.host import HostOptions
from provider_sdk.lattice.links import LinkDefinition
from provider_sdk.lattice.manner import Manner, new_id
from provider_sdk.lattice.wire import Unreadable, pack_failure, pack_invocation, pack_result, read_invocation, read_reply
from provider_sdk.lattice.wrpc.handshake import WrpcFacts
from provider_sdk.lattice.wrpc.host import WrpcHostOptions

CLUSTER_SEED = "SCAACAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAKOFQ"
CLUSTER = "CCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVZKMI"
HOST = "NCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJWVF"
PROVIDER = "VDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435CDVS"
ACTOR = "MDFJHLAXAUMHA4OWPOB4P7YO72AQR2HMIUYFOXLXE2DZGM633K7HYRZQ"

LINK = LinkDefinition(ACTOR, PROVIDER, "wasmcloud:keyvalue", "default", {"URL": "redis://127.0.0.1:6379/"})
OTP_JSON = (
    '{"cluster_issuers":["CCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVZKMI"],"config_json":"","default_rpc_timeout_ms":2000,"en'
    'v_values":{},"host_id":"NCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJWVF","instance_id":"6f1c1e0e-3c2a-4d55-9d53-0b8f3f0a1'
    'a11","invocation_seed":"SCAACAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAKOFQ","js_domain":null,"lattice_rpc_prefix":"default'
    '","lattice_rpc_tls":0,"lattice_rpc_url":"127.0.0.1:4222","lattice_rpc_user_jwt":"","lattice_rpc_user_seed":"","link_definitions":['
    '{"actor_id":"MDFJHLAXAUMHA4OWPOB4P7YO72AQR2HMIUYFOXLXE2DZGM633K7HYRZQ","contract_id":"wasmcloud:keyvalue","id":"CD16525AC98F7B3C37'
    '1A1943B0E7C39446BAFAEE580DB907C41DA1055D5BBBBA","link_name":"default","provider_id":"VDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUM'
    'FFMQ435CDVS","values":{"URL":"redis://127.0.0.1:6379/"}}],"link_name":"default","log_level":null,"provider_key":"VDWUSKGGFDI4FRXK5'
    'EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435CDVS","structured_logging":false}'
)
RUST_JSON = (
    '{"host_id":"NCATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZJWVF","lattice_rpc_prefix":"default","link_name":"default","lattic'
    'e_rpc_user_jwt":"","lattice_rpc_user_seed":"","lattice_rpc_url":"nats://127.0.0.1:4222","provider_key":"VDWUSKGGFDI4FRXK5EBTRECZSV'
    'QSSWJHHJOGH6JWG3AUMFFMQ435CDVS","invocation_seed":"SCAACAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAKOFQ","env_values":{},"in'
    'stance_id":"018c53a4-7d1b-9e64-3f0a-5b6c7d8e9fa0","link_definitions":[{"actor_id":"MDFJHLAXAUMHA4OWPOB4P7YO72AQR2HMIUYFOXLXE2DZGM6'
    '33K7HYRZQ","provider_id":"VDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435CDVS","link_name":"default","contract_id":"wasmcloud'
    ':keyvalue","values":{"URL":"redis://127.0.0.1:6379/"}}],"cluster_issuers":["CCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVZK'
    'MI"],"default_rpc_timeout_ms":2000,"structured_logging":false,"otel_config":{"traces_exporter":null,"exporter_otlp_endpoint":null}'
    "}"
)
OTP_INVOCATION = (
    "88a66f726967696e83aa7075626c69635f6b6579d9384d44464a484c415841554d4841344f57504f42345037594f373241515232484d495559464f584c58453244"
    "5a474d3633334b374859525a51ab636f6e74726163745f6964a0a96c696e6b5f6e616d65a0a674617267657483aa7075626c69635f6b6579d93856445755534b47"
    "47464449344652584b354542545245435a5356515353574a48484a4f4748364a57473341554d46464d5134333543445653ab636f6e74726163745f6964b2776173"
    "6d636c6f75643a6b657976616c7565a96c696e6b5f6e616d65a764656661756c74a96f7065726174696f6eac4b657956616c75652e476574a36d7367c406a56d79"
    "6b6579a26964d92432663361396631652d376335352d346335332d386430612d306638623161326333643465ae656e636f6465645f636c61696d73da02ef65794a"
    "30655841694f694a71643351694c434a68624763694f694a465a4449314e544535496e302e65794a7164476b694f6949316131463257575a584d476861516a6c74"
    "4e3278614d484932565446684969776961574630496a6f784e6a6b774d4441774d4441774c434a7063334d694f694a4451305a4a556c6b324e5539525254644552"
    "6c41315330784f557a4a51526a4a4d566c704e5656705a536c67305431704a5256457a4e6b347953564642546c56434e566857576b744e53534973496e4e315969"
    "4936496a4a6d4d3245355a6a466c4c54646a4e5455744e474d314d7930345a4442684c54426d4f47497859544a6a4d3251305a534973496e646863324e68634349"
    "3665794a3059584a6e5a58526664584a73496a6f696432467a62574a31637a6f764c3364686332316a624739315a4339725a586c32595778315a53396b5a575a68"
    "645778304c315a455631565453306448526b524a4e455a535745733152554a55556b5644576c4e5755564e54563070495345705052306732536c64484d30465654"
    "555a47545645304d7a564452465a544c30746c65565a686248566c4c6b646c64434973496d397961576470626c3931636d77694f694a3359584e74596e567a4f69"
    "387654555247536b684d51566842565531495154525056314250516a52514e316c504e7a4a42555649795345314a56566c475431684d5745557952467048545459"
    "7a4d30733353466c53576c45694c434a6f59584e6f496a6f694f54464452444e454d5455784e444d314d545533526a6446525459324f5441304f555935526a5a45"
    "4e555577526b45304f5546444d30513552555a464d546b77526a6b314e5445324f5445344e4545784d45453551794a394c434a3359584e6a59584266636d563261"
    "584e70623234694f6a4e392e49414f6a48436e6137715f3236624472333639675057643241594b384533313962726c463363746b6239623170486d74677a363238"
    "4e566a644271306b5a63716d426f355341536a4c702d58546c4d515f4136494377a7686f73745f6964d93843434649525936354f514537444650354b4c4e533250"
    "46324c565a4d555a594a58344f5a49455133364e324951414e55423558565a4b4d49ae636f6e74656e745f6c656e67746806"
)
RUST_INVOCATION = (
    "89a66f726967696e83aa7075626c69635f6b6579d9384d44464a484c415841554d4841344f57504f42345037594f373241515232484d495559464f584c58453244"
    "5a474d3633334b374859525a51a96c696e6b5f6e616d65a0ab636f6e74726163745f6964a0a674617267657483aa7075626c69635f6b6579d93856445755534b47"
    "47464449344652584b354542545245435a5356515353574a48484a4f4748364a57473341554d46464d5134333543445653a96c696e6b5f6e616d65a76465666175"
    "6c74ab636f6e74726163745f6964b27761736d636c6f75643a6b657976616c7565a96f7065726174696f6eac4b657956616c75652e536574a36d7367c41c83a36b"
    "6579a56d796b6579a576616c7565a176a76578706972657300a26964d92430313863353361342d376431622d396536342d336630612d3562366337643865396661"
    "31ae656e636f6465645f636c61696d73da02ef65794a30655841694f694a71643351694c434a68624763694f694a465a4449314e544535496e302e65794a716447"
    "6b694f6949316131463257575a584d476861516a6c744e3278614d484932565446694969776961574630496a6f784e7a41774d4441774d4441774c434a7063334d"
    "694f694a4451305a4a556c6b324e55395252546445526c41315330784f557a4a51526a4a4d566c704e5656705a536c67305431704a5256457a4e6b347953564642"
    "546c56434e566857576b744e53534973496e4e3159694936496a41784f474d314d3245304c54646b4d5749744f5755324e43307a5a6a42684c5456694e6d4d335a"
    "44686c4f575a684d534973496e646863324e686343493665794a3059584a6e5a58526664584a73496a6f696432467a62574a31637a6f764c3364686332316a6247"
    "39315a4339725a586c32595778315a53396b5a575a68645778304c315a455631565453306448526b524a4e455a535745733152554a55556b5644576c4e5755564e"
    "54563070495345705052306732536c64484d30465654555a47545645304d7a564452465a544c30746c65565a686248566c4c6c4e6c64434973496d397961576470"
    "626c3931636d77694f694a3359584e74596e567a4f69387654555247536b684d51566842565531495154525056314250516a52514e316c504e7a4a425556497953"
    "45314a56566c475431684d57455579524670485454597a4d30733353466c53576c45694c434a6f59584e6f496a6f694e304530515546424e546730517a4e435154"
    "56454d544178515545304e6a4a475245513352444531525455774e6a46454e5446464f555a474f446b304d30597a4e6b4d32517a6b7a52445243525463774e304a"
    "474e694a394c434a3359584e6a59584266636d563261584e70623234694f6a4e392e4a5f68473769504a74396f7a54515239434741515378656873674752327878"
    "6847677847753572346330677576437171456e446355487863623447554b3945677764706c7865346c67626769556d4430384777514267a7686f73745f6964d938"
    "4e4341545335594f564236524f583257554e4b474e51324d5033474d58444d4b5347324f344e35434c583341365734505a475a5a4a575646ae636f6e74656e745f"
    "6c656e6774681cac7472616365436f6e7465787481ab7472616365706172656e74d93730302d306166373635313931366364343364643834343865623231316338"
    "30333139632d623761643662373136393230333333312d3031"
)
OTP_REPLY = (
    "84ae636f6e74656e745f6c656e67746839ab696e7374616e63655f6964a3692d31ad696e766f636174696f6e5f6964d92039623266366330643465386134663533"
    "62316337643265336634613562366337a36d7367d93983aa737461747573436f6465ccc8a668656164657281ac636f6e74656e742d7479706591aa746578742f70"
    "6c61696ea4626f6479c403ff6f6b"
)
RUST_REPLY = (
    "84a36d7367c43983aa737461747573436f6465ccc8a668656164657281ac636f6e74656e742d7479706591aa746578742f706c61696ea4626f6479c403ff6f6bad"
    "696e766f636174696f6e5f6964d9203962326636633064346538613466353362316337643265336634613562366337ae636f6e74656e745f6c656e67746839ac74"
    "72616365436f6e7465787480"
)
OTP_LINK = (
    "86a86163746f725f6964d9384d44464a484c415841554d4841344f57504f42345037594f373241515232484d495559464f584c584532445a474d3633334b374859"
    "525a51ab636f6e74726163745f6964b27761736d636c6f75643a6b657976616c7565a26964d9404344313635323541433938463742334333373141313934334230"
    "4537433339343436424146414545353830444239303743343144413130353544354242424241a96c696e6b5f6e616d65a764656661756c74ab70726f7669646572"
    "5f6964d93856445755534b4747464449344652584b354542545245435a5356515353574a48484a4f4748364a57473341554d46464d5134333543445653a676616c"
    "75657381a355524cb772656469733a2f2f3132372e302e302e313a363337392f"
)
RUST_LINK = (
    "85a86163746f725f6964d9384d44464a484c415841554d4841344f57504f42345037594f373241515232484d495559464f584c584532445a474d3633334b374859"
    "525a51ab70726f76696465725f6964d93856445755534b4747464449344652584b354542545245435a5356515353574a48484a4f4748364a57473341554d46464d"
    "5134333543445653a96c696e6b5f6e616d65a764656661756c74ab636f6e74726163745f6964b27761736d636c6f75643a6b657976616c7565a676616c75657381"
    "a355524cb772656469733a2f2f3132372e302e302e313a363337392f"
)


@pytest.mark.parametrize(
    ("manner", "instance", "expected", "end"),
    [
        (Manner.OTP, "6f1c1e0e-3c2a-4d55-9d53-0b8f3f0a1a11", OTP_JSON, b"G9nZ2luZyI6ZmFsc2V9\n"),
        (Manner.RUST, "018c53a4-7d1b-9e64-3f0a-5b6c7d8e9fa0", RUST_JSON, b"BvaW50IjpudWxsfX0=\r\n"),
    ],
)
def test_the_line_on_stdin_is_the_hosts_own(
    manner: Manner, instance: str, expected: str, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    facts = HostFacts(manner, "default", HOST, "nats://127.0.0.1:4222", CLUSTER_SEED, (CLUSTER,))
    program = ProviderProgram(("kv",), PROVIDER, "kv", "wasmcloud:keyvalue")
    line = stdin_line(manner, host_data(facts, program, instance, [LINK]))
    assert base64.b64decode(line).decode() == expected
    assert line.endswith(end)


@pytest.mark.parametrize(("manner", "expected"), [(Manner.OTP, OTP_LINK), (Manner.RUST, RUST_LINK)])
def test_a_link_definition_is_the_hosts_own(manner: Manner, expected: str) -> None:
    assert LINK.packed(manner).hex() == expected


@pytest.mark.parametrize(("manner", "golden", "host_id"), [(Manner.OTP, OTP_INVOCATION, CLUSTER), (Manner.RUST, RUST_INVOCATION, HOST)])
def test_an_invocation_is_the_hosts_own(manner: Manner, golden: str, host_id: str) -> None:
    read = read_invocation(manner, bytes.fromhex(golden))
    assert (read.origin, read.host_id) == (Entity(ACTOR, "", ""), host_id)
    written = pack_invocation(manner, read)
    traced = msgpack.unpackb(bytes.fromhex(golden))
    if manner is Manner.RUST:
        # The appendix shows a trace context, which the host sends with a traces exporter only.
        traced["traceContext"] = {}
    assert written == msgpack.packb(traced)


@pytest.mark.parametrize(("manner", "golden"), [(Manner.OTP, OTP_REPLY), (Manner.RUST, RUST_REPLY)])
def test_an_actors_reply_is_the_hosts_own(manner: Manner, golden: str) -> None:
    msg = msgpack.packb({"statusCode": 200, "header": {"content-type": ["text/plain"]}, "body": b"\xffok"})
    assert pack_result(manner, "9b2f6c0d4e8a4f53b1c7d2e3f4a5b6c7", "i-1", msg, len(msg)).hex() == golden


def test_a_rust_host_needs_the_content_length_both_ways() -> None:
    fields = msgpack.unpackb(bytes.fromhex(OTP_INVOCATION))
    del fields["content_length"]
    with pytest.raises(Unreadable, match="missing field `content_length`"):
        read_invocation(Manner.RUST, msgpack.packb(fields))
    assert read_invocation(Manner.OTP, msgpack.packb(fields)).content_length == 6
    with pytest.raises(Unreadable, match="missing field `content_length`"):
        read_reply(Manner.RUST, msgpack.packb({"msg": b"", "invocation_id": "i"}), "i")


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x90", b"\x80", msgpack.packb({"msg": None, "invocation_id": "i", "content_length": 0})])
def test_what_is_no_reply_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_reply(Manner.RUST, data, "i")


@pytest.mark.parametrize("msg", [None, []])
def test_an_otp_host_takes_an_empty_message_in_several_shapes(msg: object) -> None:
    assert read_reply(Manner.OTP, msgpack.packb({"msg": msg, "error": "no"}), "i").error == "no"


@pytest.mark.parametrize("manner", list(Manner))
def test_a_failure_of_an_actor_is_read_back(manner: Manner) -> None:
    assert read_reply(manner, pack_failure(manner, "i", "instance", "went wrong"), "i").error == "went wrong"


def test_ids_look_like_the_hosts() -> None:
    assert new_id(Manner.OTP)[14] == "4"
    assert abs((uuid.UUID(new_id(Manner.RUST)).int >> 80) / 1000 - time.time()) < 60
    assert len({new_id(Manner.RUST) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("manner", "before", "now", "event"),
    [
        (Manner.RUST, None, False, "status"),
        (Manner.OTP, None, False, "failed"),
        (Manner.RUST, None, True, "passed"),
        (Manner.RUST, True, True, "status"),
        (Manner.RUST, True, False, "failed"),
        (Manner.RUST, False, False, "status"),
        (Manner.RUST, False, True, "passed"),
    ],
)
def test_health_events_follow_the_change(manner: Manner, before: bool | None, now: bool, event: str) -> None:
    assert event_name(manner, before, now) == f"health_check_{event}"


def test_a_health_answer_that_cannot_be_read_is_unhealthy() -> None:
    assert read_health(b"\x80").healthy is False
    assert read_health(b"\x01").message.startswith("the health answer cannot be read")


def test_no_seed_is_shown() -> None:
    facts = HostFacts(Manner.RUST, "default", "N", "", "SCLUSTER", (), user_seed="SUSER")
    shown = [facts, HostOptions(user_seed="SUSER"), WrpcFacts("default", "N", "", user_seed="SUSER"), WrpcHostOptions(user_seed="SUSER")]
    assert not any(seed in repr(item) for item in shown for seed in ("SCLUSTER", "SUSER"))
