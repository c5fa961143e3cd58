//! The plugin process seen from outside: handshake, trust, signals, its end.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use terraform_provider_convex::plugin::{
    from_value,
    proto::{self, DynamicValue},
    to_value,
    value::{Type, Value},
    wire::msgpack,
};
use tonic::Code;

use crate::support::{
    binaries,
    plugin::{COOKIE, ClientIdentity, Plugin},
};

/// Terraform's own patience after the call that ends a plugin.
const PATIENCE: Duration = Duration::from_secs(2);

/// The type of `thin_thing`, as its schema says.
async fn thing_type(
    client: &mut proto::provider_client::ProviderClient<tonic::transport::Channel>,
) -> Type {
    let schema = client
        .get_provider_schema(proto::get_provider_schema::Request {})
        .await
        .expect("a schema")
        .into_inner();
    let block = schema.resource_schemas["thin_thing"].block.clone();
    Type::object(
        block
            .expect("a block")
            .attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute_type(attribute))),
    )
}

fn attribute_type(attribute: &proto::schema::Attribute) -> Type {
    use proto::schema::object::NestingMode;
    let Some(nested) = &attribute.nested_type else {
        return Type::from_json(&attribute.r#type).expect("a type");
    };
    let object = Type::object(
        nested
            .attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute_type(attribute))),
    );
    match nested.nesting() {
        NestingMode::List => Type::list(object),
        NestingMode::Set => Type::set(object),
        NestingMode::Map => Type::map(object),
        _ => object,
    }
}

/// A configuration of `thin_thing` with these attributes and no others.
fn thing(ty: &Type, given: &[(&str, Value)]) -> Value {
    let Type::Object(attributes) = ty else {
        panic!("not an object")
    };
    let mut thing: std::collections::BTreeMap<_, _> = attributes
        .keys()
        .map(|name| (name.clone(), Value::Null))
        .collect();
    for (name, value) in given {
        thing.insert((*name).to_owned(), value.clone());
    }
    Value::Map(thing)
}

fn encoded(value: &Value, ty: &Type) -> DynamicValue {
    DynamicValue {
        msgpack: msgpack::encode(value, ty).expect("a value of the type"),
        json: Vec::new(),
    }
}

#[test]
fn a_person_who_starts_it_is_told_what_it_is() {
    let output = Command::new(binaries::fixture())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not meant to be started by hand"), "{said}");
}

#[test]
fn a_terraform_without_protocol_6_is_refused() {
    let output = Command::new(binaries::fixture())
        .env_clear()
        .env(COOKIE.0, COOKIE.1)
        .env("PLUGIN_PROTOCOL_VERSIONS", "4,5")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Terraform offers 4,5"), "{said}");
}

#[tokio::test]
async fn the_handshake_is_one_line_and_its_socket_is_private() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let [core, protocol, network, address, kind, certificate] = &plugin.handshake[..] else {
        panic!("{:?}", plugin.handshake)
    };
    assert_eq!(
        [core, protocol, network, kind, certificate],
        ["1", "6", "unix", "grpc", ""]
    );
    let directory = Path::new(address).parent().expect("a directory");
    assert!(directory.starts_with(plugin.temporary.path()));
    let mode = directory.metadata().expect("the directory").permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    plugin.connect().await;
}

#[tokio::test]
async fn a_long_temporary_directory_does_not_break_the_socket() {
    let deep = tempfile::tempdir().expect("a directory");
    let long = deep.path().join("x".repeat(120));
    std::fs::create_dir(&long).expect("a directory");
    let plugin = Plugin::start(
        &binaries::fixture(),
        &[("TMPDIR", long.to_str().expect("text"))],
    );
    assert!(plugin.handshake[3].len() < 108);
    plugin.connect().await;
}

#[tokio::test]
async fn tcp_is_used_where_asked_for_and_never_without_a_certificate() {
    let identity = ClientIdentity::new();
    let asked = [
        ("TF_PLUGIN_NETWORK", "tcp"),
        ("PLUGIN_MIN_PORT", "21000"),
        ("PLUGIN_MAX_PORT", "21900"),
    ];
    let plugin = Plugin::start(&binaries::fixture(), &asked);
    assert_eq!(plugin.handshake[2], "unix");
    let secured = [&asked[..], &[("PLUGIN_CLIENT_CERT", &identity.pem)]].concat();
    let plugin = Plugin::start(&binaries::fixture(), &secured);
    assert_eq!(plugin.handshake[2], "tcp");
    let port = plugin.handshake[3]
        .strip_prefix("127.0.0.1:")
        .expect("loopback");
    assert!((21_000..=21_900).contains(&port.parse::<u16>().expect("a port")));
    let mut client = plugin.connect_tls(Some(&identity)).await.expect("trusted");
    thing_type(&mut client).await;
}

#[tokio::test]
async fn only_the_client_with_the_announced_certificate_is_served() {
    let identity = ClientIdentity::new();
    let plugin = Plugin::start(
        &binaries::fixture(),
        &[("PLUGIN_CLIENT_CERT", &identity.pem)],
    );
    assert!(!plugin.handshake[5].contains('='), "unpadded base64");

    let mut client = plugin.connect_tls(Some(&identity)).await.expect("trusted");
    thing_type(&mut client).await;

    for stranger in [None, Some(ClientIdentity::new())] {
        let refused = match plugin.connect_tls(stranger.as_ref()).await {
            Err(_) => true,
            // TLS 1.3 tells a client of its refusal at the first read.
            Ok(mut client) => client
                .get_metadata(proto::get_metadata::Request {})
                .await
                .is_err(),
        };
        assert!(refused);
    }
    // The refused ones did the plugin no harm.
    thing_type(&mut client).await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_with_its_limit() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    let config = DynamicValue {
        msgpack: vec![0; 65 << 20],
        json: Vec::new(),
    };
    let request = proto::validate_provider_config::Request {
        config: Some(config),
    };
    let error = client.validate_provider_config(request).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange);
    assert!(error.message().contains("67108864"), "{error}");
    thing_type(&mut client).await;
}

#[tokio::test]
async fn a_call_of_a_newer_terraform_is_unimplemented() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    let known = client
        .plan_action(proto::plan_action::Request::default())
        .await;
    assert_eq!(known.unwrap_err().code(), Code::Unimplemented);

    let channel = plugin.channel(None).await.expect("a connection");
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("ready");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = "/tfplugin6.Provider/InventedLater".parse().expect("a path");
    let unknown = grpc.unary(tonic::Request::new(()), path, codec).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn goodbye_ends_the_process_and_leaves_nothing() {
    let mut plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    thing_type(&mut client).await;
    // Terraform keeps this stream open all the time.
    let channel = plugin.channel(None).await.expect("a connection");
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.expect("ready");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = "/plugin.GRPCStdio/StreamStdio".parse().expect("a path");
    let _stdio = grpc
        .server_streaming(tonic::Request::new(()), path, codec)
        .await;

    let start = Instant::now();
    plugin.shut_down(channel).await;
    let status = plugin
        .ended_within(PATIENCE)
        .await
        .expect("it ends in time");
    assert!(status.success());
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(plugin.rest_of_stdout(), "");
    assert_eq!(plugin.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_goodbye_in_mid_operation_ends_the_process_in_time() {
    let mut plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = configured(&plugin).await;
    let ty = thing_type(&mut client).await;
    let request = apply_request(&ty, &[("name", "a".into()), ("mode", "wait".into())]);
    let waiting = tokio::spawn(async move { client.apply_resource_change(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;

    let channel = plugin.channel(None).await.expect("a connection");
    plugin.shut_down(channel).await;
    assert!(plugin.ended_within(PATIENCE).await.is_some());
    waiting.abort();
}

#[tokio::test]
async fn an_interrupt_is_left_to_terraform() {
    let mut plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    plugin.signal("INT");
    assert_eq!(plugin.ended_within(Duration::from_millis(300)).await, None);
    thing_type(&mut client).await;
    plugin.signal("TERM");
    assert!(plugin.ended_within(PATIENCE).await.is_some());
    assert_eq!(plugin.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_plugin_whose_terraform_was_killed_goes_too() {
    let mut plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    thing_type(&mut client).await;
    drop(client);
    // Ten seconds' patience, and a machine that has other things to do.
    assert!(plugin.ended_within(Duration::from_secs(40)).await.is_some());
    assert_eq!(plugin.left_behind(), Vec::<std::path::PathBuf>::new());
}

async fn configured(
    plugin: &Plugin,
) -> proto::provider_client::ProviderClient<tonic::transport::Channel> {
    let mut client = plugin.connect().await;
    let ty = Type::object([("prefix", Type::String)]);
    let config = Value::from([("prefix", Value::Null)]);
    let response = client
        .configure_provider(proto::configure_provider::Request {
            terraform_version: "1.11.4".to_owned(),
            config: Some(encoded(&config, &ty)),
            client_capabilities: None,
        })
        .await
        .expect("an answer")
        .into_inner();
    assert!(response.diagnostics.is_empty());
    client
}

/// A request to create a thing whose plan has nothing unknown in it.
fn apply_request(ty: &Type, given: &[(&str, Value)]) -> proto::apply_resource_change::Request {
    let planned = thing(ty, given);
    proto::apply_resource_change::Request {
        type_name: "thin_thing".to_owned(),
        prior_state: Some(encoded(&Value::Null, ty)),
        planned_state: Some(encoded(&planned, ty)),
        config: Some(encoded(&planned, ty)),
        ..Default::default()
    }
}

#[tokio::test]
async fn stop_cancels_what_is_under_way_and_keeps_what_exists() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = configured(&plugin).await;
    let ty = thing_type(&mut client).await;
    let request = apply_request(&ty, &[("name", "a".into()), ("mode", "wait".into())]);
    let mut other = client.clone();
    let waiting = tokio::spawn(async move { other.apply_resource_change(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    client
        .stop_provider(proto::stop_provider::Request {})
        .await
        .expect("an answer");
    let response = tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it stops in time")
        .expect("no panic")
        .expect("an answer")
        .into_inner();
    assert_eq!(response.diagnostics[0].summary, "Cancelled");
    let kept =
        msgpack::decode(&response.new_state.expect("a state").msgpack, &ty).expect("a value");
    assert_eq!(kept.at(&"name".into()).as_str(), Some("a"));
}

#[tokio::test]
async fn a_panic_is_one_diagnostic_and_the_state_noted_last() {
    let mut plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = configured(&plugin).await;
    let ty = thing_type(&mut client).await;
    for (mode, kept) in [("panic", false), ("panic-half-made", true)] {
        let request = apply_request(&ty, &[("name", "a".into()), ("mode", mode.into())]);
        let response = client
            .apply_resource_change(request)
            .await
            .expect("an answer")
            .into_inner();
        assert_eq!(response.diagnostics.len(), 1);
        assert_eq!(response.diagnostics[0].summary, "The provider crashed");
        let state = msgpack::decode(&response.new_state.expect("a state").msgpack, &ty);
        assert_eq!(!state.expect("a value").is_null(), kept, "{mode}");
    }
    drop(client);
    plugin.signal("TERM");
    plugin.ended_within(PATIENCE).await.expect("it ends");
    let log = plugin.stderr();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let panics = lines.iter().filter(|line| {
        line["@level"] == "error"
            && line["@message"]
                .as_str()
                .is_some_and(|it| it.starts_with("panicked"))
    });
    assert_eq!(panics.count(), 2, "{log}");
}

#[tokio::test]
async fn large_values_pass() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = configured(&plugin).await;
    let ty = thing_type(&mut client).await;
    let words = Value::from(vec!["w".repeat(1024); 5 * 1024]);
    let request = apply_request(&ty, &[("name", "a".into()), ("words", words.clone())]);
    let response = client
        .apply_resource_change(request)
        .await
        .expect("an answer")
        .into_inner();
    let state = msgpack::decode(&response.new_state.expect("a state").msgpack, &ty);
    let state = state.expect("a value");
    assert!(
        state
            .at(&"words".into())
            .same(&words, &Type::list(Type::String))
    );
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_with_diagnostics() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    let ty = thing_type(&mut client).await;

    let before_configure = client
        .apply_resource_change(apply_request(&ty, &[("name", "a".into())]))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(
        before_configure.diagnostics[0].summary,
        "Provider not configured"
    );

    let unknown_type = client
        .validate_resource_config(proto::validate_resource_config::Request {
            type_name: "thin_nothing".to_owned(),
            ..Default::default()
        })
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(unknown_type.diagnostics[0].summary, "Unknown resource");

    for junk in [&b"\xff\xff"[..], b"\x81\xa4name\x01"] {
        let malformed = client
            .validate_resource_config(proto::validate_resource_config::Request {
                type_name: "thin_thing".to_owned(),
                config: Some(DynamicValue {
                    msgpack: junk.to_vec(),
                    json: Vec::new(),
                }),
                client_capabilities: None,
            })
            .await
            .expect("an answer")
            .into_inner();
        assert_eq!(
            malformed.diagnostics[0].summary,
            "Cannot read a value from Terraform"
        );
    }
}

#[tokio::test]
async fn write_only_values_are_refused_where_terraform_would_store_them() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    let ty = thing_type(&mut client).await;
    let secret = Value::from([
        ("value", Value::Null),
        ("value_wo", Value::from("hush")),
        ("version", Value::Null),
    ]);
    let config = thing(
        &ty,
        &[
            ("name", "a".into()),
            ("secrets", Value::from([("K", secret)])),
        ],
    );
    for (allowed, problems) in [(true, 0), (false, 1)] {
        let response = client
            .validate_resource_config(proto::validate_resource_config::Request {
                type_name: "thin_thing".to_owned(),
                config: Some(encoded(&config, &ty)),
                client_capabilities: Some(proto::ClientCapabilities {
                    write_only_attributes_allowed: allowed,
                    ..Default::default()
                }),
            })
            .await
            .expect("an answer")
            .into_inner();
        assert_eq!(response.diagnostics.len(), problems);
        for problem in response.diagnostics {
            assert!(
                problem
                    .detail
                    .starts_with("secrets[\"K\"].value_wo is write-only")
            );
            assert_eq!(problem.attribute.expect("a path").steps.len(), 3);
        }
    }
}

#[derive(serde::Deserialize)]
struct Part {
    name: String,
    mode: Option<String>,
}

#[tokio::test]
async fn a_state_of_another_version_is_upgraded_and_a_foreign_one_refused() {
    let plugin = Plugin::start(&binaries::fixture(), &[]);
    let mut client = plugin.connect().await;
    let ty = thing_type(&mut client).await;
    let mut upgrade = async |version, json: &[u8]| {
        client
            .upgrade_resource_state(proto::upgrade_resource_state::Request {
                type_name: "thin_thing".to_owned(),
                version,
                raw_state: Some(proto::RawState {
                    json: json.to_vec(),
                    ..Default::default()
                }),
            })
            .await
            .expect("an answer")
            .into_inner()
    };
    for (version, mode) in [(0, None), (-1, Some("upgraded from -1"))] {
        let response = upgrade(version, br#"{"name": "a", "gone": [1]}"#).await;
        let state = response.upgraded_state.expect("a state");
        let state = msgpack::decode(&state.msgpack, &ty).expect("a value");
        let part: Part = from_value(&state).expect("a part");
        assert_eq!((part.name.as_str(), part.mode.as_deref()), ("a", mode));
        assert!(to_value(&part.name).is_ok());
    }
    let response = upgrade(0, b"").await;
    assert_eq!(
        response.diagnostics[0].summary,
        "Cannot read the stored state"
    );
    let response = upgrade(0, br#"{"name": {}}"#).await;
    assert!(response.diagnostics[0].attribute.is_some());
}
