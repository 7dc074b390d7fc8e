//! The RAM policy a template needs: the actions that its builds call, as a
//! policy document.
//!
//! Pure. Which actions those are is known beside the calls, in the builder
//! (`builder::alicloud_ecs::permissions`) and the importer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::builder::alicloud_ecs;
use crate::importer;
use crate::plan::post_processor::Kind;
use crate::plan::{Build, Builder, Plan};

/// RAM actions, as policies name them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Without one of these the build fails, or something stays behind.
    pub needed: BTreeSet<&'static str>,
    /// Without one of these the build knows less, and says so.
    pub useful: BTreeSet<&'static str>,
}

impl Permissions {
    /// Adds needed actions.
    pub(crate) fn need(&mut self, actions: &[&'static str]) {
        self.needed.extend(actions);
    }

    /// Adds needed actions where something is so.
    pub(crate) fn need_if(&mut self, so: bool, actions: &[&'static str]) {
        if so {
            self.need(actions);
        }
    }
}

/// What the builds of a plan may have to call.
pub fn of_plan(plan: &Plan) -> Permissions {
    let mut permissions = Permissions::default();
    for build in &plan.builds {
        add_build(&mut permissions, build);
    }
    let needed = &permissions.needed;
    permissions.useful.retain(|action| !needed.contains(action));
    permissions
}

fn add_build(permissions: &mut Permissions, build: &Build) {
    if let Builder::AlicloudEcs(options) = &build.builder {
        alicloud_ecs::permissions::add(permissions, options, &build.communicator);
    }
    for post_processor in build.post_processors.iter().flatten() {
        if let Kind::AlicloudImport(import) = &post_processor.kind {
            importer::permissions::add(permissions, import);
        }
    }
}

/// The policy document, with the useful actions if they are wanted.
pub fn document(permissions: &Permissions, with_useful: bool) -> Value {
    let useful = permissions.useful.iter().filter(|_| with_useful);
    let actions: BTreeSet<_> = permissions.needed.iter().chain(useful).collect();
    json!({
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    })
}
