//! `alicloud-import`, against the sandbox.

use std::sync::Arc;

use alicloud_image_sandbox::{Delays, Sandbox, SandboxOptions, SeedBucket};
use jiff::Timestamp;

use super::*;
use crate::clock::Clock;
use crate::cloud::SignatureAlgorithm;
use crate::cloud::credential::{Hiding, Keys, Network};
use crate::cloud::endpoint::Endpoints;
use crate::cloud::http::HttpTransport;
use crate::plan::alicloud_ecs::Defaults;
use crate::plan::import;
use crate::plan::testing::read_in;
use crate::secret::Secret;

async fn sandbox() -> Sandbox {
    let options = SandboxOptions {
        delays: Delays::none(),
        latency: std::time::Duration::ZERO,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.seed().import_role().bucket(&SeedBucket {
        region: "cn-beijing".into(),
        name: "images".into(),
        ..SeedBucket::default()
    });
    sandbox
}

fn connections(sandbox: &Sandbox, signature: SignatureAlgorithm) -> Connections {
    let keys = Keys {
        access_key: sandbox.access_key_id().to_owned(),
        secret_key: Secret::new(sandbox.access_key_secret()),
        security_token: None,
    };
    let network = Network {
        transport: Arc::new(HttpTransport::new().unwrap()),
        endpoints: Endpoints::everything_to(&sandbox.url()).unwrap(),
        signature,
        clock: Clock::default(),
        sts_region: None,
        hiding: Hiding::default(),
    };
    Connections::new(keys.into(), network, true)
}

fn import_of(more: &str) -> plan::PostProcessor {
    let text =
        format!(r#"{{"region":"cn-beijing","image_name":"web","oss_bucket_name":"images"{more}}}"#);
    let outcome = read_in(".", &text, import::OPTIONS, |reader| {
        import::read(reader, Defaults::default())
    });
    assert_eq!(outcome.findings, [""; 0]);
    step(plan::Kind::AlicloudImport(Box::new(outcome.read)))
}

async fn run(sandbox: &Sandbox, signature: SignatureAlgorithm, files: Vec<PathBuf>) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::start(directory.path(), "run").unwrap();
    let tags = RunTags::new("run", Timestamp::now(), std::time::Duration::ZERO, vec![]);
    let connections = connections(sandbox, signature);
    let services = Services {
        connections: &connections,
        journal: &journal,
        tags: &tags,
    };
    let world = World::new(Fake::default());
    let sequence = [vec![import_of(r#","oss_key_name":"{{.BuildName}}.raw""#)]];
    let cx = world.context();
    run_sequences(&sequence, with_files(files), &cx, Some(&services)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_artifacts_disk_becomes_an_image_with_both_signatures() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("packer-web.raw");
    let mut content = vec![7; 1 << 20];
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&disk, content).unwrap();
    for signature in [
        SignatureAlgorithm::Acs3HmacSha256,
        SignatureAlgorithm::RpcHmacSha1,
    ] {
        let sandbox = sandbox().await;
        let outcome = run(&sandbox, signature, vec![disk.clone()]).await;
        let errors: Vec<_> = outcome
            .errors
            .iter()
            .map(|error| crate::error::one_line(error))
            .collect();
        assert_eq!(errors, [""; 0]);
        let image = sandbox.images()[0]["ImageId"].as_str().unwrap().to_owned();
        assert_eq!(outcome.artifacts[0].id, format!("cn-beijing:{image}"));
        assert_eq!(
            outcome.artifacts[0].builder_id,
            "packer.post-processor.alicloud-import"
        );
        // Packer's rule: what was imported is not kept unless asked for.
        assert_eq!(outcome.discarded.len(), 1);
        assert!(sandbox.alive().iter().all(|one| one.kind != "object"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_without_disk_is_kept_and_the_failure_said() {
    let sandbox = sandbox().await;
    let outcome = run(&sandbox, SignatureAlgorithm::default(), vec![]).await;
    assert_eq!(outcome.artifacts, [cloud_image()]);
    let error = crate::error::one_line(&outcome.errors[0]);
    assert!(error.contains("there is no disk to import"), "{error}");
}
