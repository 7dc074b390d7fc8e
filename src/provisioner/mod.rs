//! Running what the template says on and beside the machine.

use std::collections::BTreeMap;

use crate::communicator::Communicator;
use crate::engine::event::Events;
use crate::engine::stop::Stop;

/// What every provisioner and post-processor may use.
#[derive(Clone)]
pub struct Context<'a> {
    /// Where output goes.
    pub events: &'a Events,
    /// When to stop.
    pub stop: &'a Stop,
    /// The machine; none with `communicator: none`.
    pub communicator: Option<&'a dyn Communicator>,
    /// Facts for `{{ build `ID` }}`, `{{.Host}}` and the environment.
    pub data: &'a BuildData,
}

/// Facts about a running build, Packer's names to values.
#[derive(Debug, Clone, Default)]
pub struct BuildData {
    /// The build's name.
    pub build_name: String,
    /// The builder's type.
    pub builder_type: String,
    /// The run's id.
    pub run_id: String,
    /// `ID`, `Host`, `Port`, `User`, `Password`, `ConnType`, `SSHPublicKey`,
    /// `SSHPrivateKey`, `PackerRunUUID`, …
    pub values: BTreeMap<String, String>,
    /// Whether the user forced (`-force`), for the manifest.
    pub force: bool,
}
