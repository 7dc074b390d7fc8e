//! What a job works against: a sandbox outside of its containers.

use std::collections::BTreeMap;
use std::time::Duration;

use alicloud_image_sandbox::guest::Confinement;
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::{Alive, Delays, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::action::Action;
use crate::job::Job;
use crate::workflow::Step;

/// How long a simulated second takes. The post step has 240 of them, and must
/// be done also on a machine that is busy with other tests.
pub(crate) const TIME_SCALE: f64 = 0.05;

/// A sandbox and the action.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) action: Action,
}

impl World {
    /// Where everything is ready at once, and machines take commands without
    /// running them.
    pub(crate) async fn new() -> Self {
        Self::with(Confinement::Scripted).await
    }

    /// The same with machines whose commands really run.
    pub(crate) async fn with_commands() -> Self {
        Self::with(Confinement::Namespaces).await
    }

    async fn with(confinement: Confinement) -> Self {
        let machines = Guests {
            confinement,
            time_scale: TIME_SCALE,
            powershell: None,
        };
        let options = SandboxOptions {
            machines: std::sync::Arc::new(machines),
            delays: Delays::none(),
            latency: Duration::ZERO,
            time_scale: TIME_SCALE,
            ..SandboxOptions::default()
        };
        Self {
            sandbox: Sandbox::start(options).await.unwrap(),
            action: Action::of_repository("."),
        }
    }

    /// A job whose variables lead to the sandbox.
    pub(crate) fn job(&self) -> Job {
        let mut job = Job::new(self.variables());
        job.scale = TIME_SCALE;
        job
    }

    /// A job of a program that has more time for everything.
    pub(crate) fn slow_job(&self) -> Job {
        let mut variables = self.variables();
        let scale = (4.0 * TIME_SCALE).to_string();
        variables.insert("ALICLOUD_IMAGE_TIME_SCALE".to_owned(), scale);
        Job::new(variables)
    }

    /// What no input says.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let url = self.sandbox.url();
        [
            ("ALICLOUD_IMAGE_TIME_SCALE", TIME_SCALE.to_string()),
            (
                "ALICLOUD_IMAGE_GUEST_PORT",
                self.sandbox.guest_port().to_string(),
            ),
            ("ALICLOUD_IMAGE_METADATA_ENDPOINT", url.clone()),
            ("ALIBABA_CLOUD_ENDPOINT_RAM", url),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// A step of the action with these inputs, its endpoints, and keys as a
    /// login action leaves them.
    pub(crate) fn step(&self, inputs: &[(&str, &str)]) -> Step {
        let url = self.sandbox.url();
        let endpoints = ["ecs", "vpc", "sts", "oss"].map(|it| format!("{it}-endpoint"));
        let endpoints: Vec<_> = endpoints
            .iter()
            .map(|it| (it.as_str(), url.as_str()))
            .collect();
        Step::with(&[&endpoints, inputs].concat()).env(&[
            ("ALICLOUD_ACCESS_KEY", self.sandbox.access_key_id()),
            ("ALICLOUD_SECRET_KEY", self.sandbox.access_key_secret()),
        ])
    }

    /// What lives, except images and the snapshots they consist of.
    pub(crate) fn temporary(&self) -> Vec<Alive> {
        // What was asked to go, as an EIP that is being released, is gone now.
        self.sandbox.advance(Duration::from_secs(1));
        let images = self.sandbox.images();
        let mappings = images
            .iter()
            .map(|image| &image["DiskDeviceMappings"]["DiskDeviceMapping"]);
        let disks = mappings.filter_map(Value::as_array).flatten();
        let snapshots: Vec<_> = disks
            .filter_map(|disk| disk["SnapshotId"].as_str())
            .collect();
        let mut alive = self.sandbox.alive();
        alive.retain(|one| one.kind != "image" && !snapshots.contains(&one.id.as_str()));
        alive
    }

    /// Asserts that nothing is left but images.
    #[track_caller]
    pub(crate) fn assert_clean(&self, context: &str) {
        assert_eq!(self.temporary(), vec![], "left behind {context}");
    }

    /// Waits until the sandbox has answered so many calls.
    pub(crate) async fn wait_for_calls(&self, count: usize) {
        self.wait_until(|| self.sandbox.calls().len() >= count)
            .await;
    }

    /// Waits until something is so.
    pub(crate) async fn wait_until(&self, condition: impl Fn() -> bool) {
        for _ in 0..60_000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("waited a minute in vain");
    }
}

/// A template with one build, `web`, and these provisioners.
pub(crate) fn template(provisioners: &Value) -> String {
    let template = json!({
        "builders": [{
            "name": "web",
            "type": "alicloud-ecs",
            "region": "cn-beijing",
            "image_name": "web-{{timestamp}}",
            "source_image": "aliyun_3_x64_20G_alibase_20240819.vhd",
            "instance_type": "ecs.g6.large",
            "ssh_username": "root",
            "ssh_timeout": "1h",
        }],
        "provisioners": provisioners,
    });
    format!("{template:#}\n")
}
