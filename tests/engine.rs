//! The engine as a library, for what no command line can bring about.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alicloud_image::clock::Clock;
use alicloud_image::cloud::SignatureAlgorithm;
use alicloud_image::cloud::credential::{Hiding, Keys, Network};
use alicloud_image::cloud::endpoint::Endpoints;
use alicloud_image::cloud::http::HttpTransport;
use alicloud_image::engine::event::{Event, EventKind, Events, Reporter};
use alicloud_image::engine::stop::Stop;
use alicloud_image::engine::{self, Connections, Settings};
use alicloud_image::error::Kind;
use alicloud_image::journal::Journal;
use alicloud_image::journal::tags::RunTags;
use alicloud_image::plan::build;
use alicloud_image::plan::{OnError, Plan};
use alicloud_image::secret::Secret;
use alicloud_image::template::diagnostic::Diagnostics;
use alicloud_image::template::source::Sources;
use alicloud_image::template::variables::VariableInputs;
use alicloud_image_sandbox::{Sandbox, SandboxOptions};
use jiff::Timestamp;

const TIME_SCALE: f64 = 0.005;

const TEMPLATE: &str = r#"{
  "builders": [{
    "type": "alicloud-ecs",
    "region": "cn-beijing",
    "image_name": "web",
    "source_image": "aliyun_3_x64_20G_alibase_20240819.vhd",
    "instance_type": "ecs.g6.large",
    "communicator": "none"
  }]
}"#;

/// Panics in the middle of a build, when the instance already runs.
struct Faulty;

impl Reporter for Faulty {
    fn on(&mut self, event: &Event) {
        let is_the_one =
            matches!(&event.kind, EventKind::Say(text) if text.starts_with("Creating image"));
        assert!(!is_the_one, "a bug");
    }
}

fn plan() -> Plan {
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let source = sources.add("web.json", TEMPLATE);
    let inputs = VariableInputs {
        vars: vec![],
        var_files: vec![],
        env: &|_| None,
        template_dir: String::new(),
        pwd: String::new(),
        start: Timestamp::now(),
        fence: &|_| None,
    };
    let loaded =
        alicloud_image::template::load(source, &inputs, &mut sources, &mut diagnostics).unwrap();
    let settings = build::Settings {
        template_path: PathBuf::from("web.json"),
        template_dir: String::new(),
        sources: &sources,
        only: vec![],
        except: vec![],
        force: false,
        region: None,
        profiles: None,
        places: Default::default(),
        start: Timestamp::now(),
    };
    build::plan(&loaded, &settings, &mut diagnostics).unwrap()
}

fn connections(sandbox: &Sandbox) -> Connections {
    let keys = Keys {
        access_key: sandbox.access_key_id().to_owned(),
        secret_key: Secret::new(sandbox.access_key_secret()),
        security_token: None,
    };
    let network = Network {
        transport: Arc::new(HttpTransport::new().unwrap()),
        endpoints: Endpoints::everything_to(&sandbox.url()).unwrap(),
        signature: SignatureAlgorithm::Acs3HmacSha256,
        clock: Clock::default(),
        sts_region: None,
        hiding: Hiding::default(),
    };
    Connections::new(keys.into(), network, true)
}

#[tokio::test]
async fn a_bug_in_a_build_leaves_nothing_behind() {
    let options = SandboxOptions {
        time_scale: TIME_SCALE,
        ..Default::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let run = "0c9d0a4e-0000-4000-8000-000000000000";
    let settings = Settings {
        on_error: OnError::Cleanup,
        force: false,
        parallel: None,
        deadline: None,
        tags: RunTags::new(run, Timestamp::now(), Duration::from_secs(3600), vec![]),
        agent_socket: None,
        guest_port: None,
        environment: Default::default(),
    };
    let journal = Journal::start(directory.path(), run).unwrap();
    let stop = Stop::new(Clock::scaled(TIME_SCALE));
    let events = Events::new(Faulty);
    let connections = connections(&sandbox);
    let result = engine::run(&plan(), &settings, &connections, journal, &events, &stop).await;
    let error = result.builds[0].error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.message().ends_with("a bug"), "{error}");
    assert_eq!(sandbox.alive(), vec![]);
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "the journal is closed"
    );
}
