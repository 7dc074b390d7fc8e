//! What runs on the machine: Packer's provisioners as typed options.
//!
//! Strings that Packer renders at run time (`{{.Vars}}`, `{{.Path}}`, build
//! data) are kept as they are; everything else is already rendered.

use std::path::PathBuf;
use std::time::Duration;

use crate::plan::Meta;
use crate::plan::options;
use crate::plan::reader::Reader;
use crate::secret::Secret;
use crate::template::decode::OptionSpec;
use crate::template::source::{Span, Spanned};

mod ansible;
mod ansible_local;
#[cfg(test)]
mod ansible_tests;
mod breakpoint;
mod file;
mod galaxy;
mod powershell;
mod script;
mod shell;
mod shell_local;
#[cfg(test)]
mod tests;
mod windows_restart;
mod windows_shell;

pub use ansible::{Adapter, Ansible, Inventory};
pub use ansible_local::{AnsibleLocal, Playbook};
pub use breakpoint::Breakpoint;
pub use galaxy::Galaxy;
pub use shell_local::read as read_shell_local;

/// The first line of a script made of inline lines.
const SHEBANG: &str = "/bin/sh -e";

/// A provisioner type: how it is read.
#[derive(Clone, Copy)]
pub struct Type {
    /// The name as templates write it.
    pub name: &'static str,
    /// Its options.
    pub options: &'static [&'static [OptionSpec]],
    /// Whether there must be a machine.
    pub needs_machine: bool,
    /// Reads them.
    pub read: fn(&mut Reader<'_, '_>) -> Kind,
}

/// The provisioners there are.
pub const TYPES: &[Type] = &[
    Type {
        name: "shell",
        options: &[options::shell::OPTIONS],
        needs_machine: true,
        read: shell::read,
    },
    Type {
        name: "file",
        options: &[options::file::OPTIONS],
        needs_machine: true,
        read: file::read,
    },
    Type {
        name: "shell-local",
        options: &[options::shell_local::OPTIONS],
        needs_machine: false,
        read: |reader| Kind::ShellLocal(Box::new(read_shell_local(reader))),
    },
    Type {
        name: "powershell",
        options: &[options::powershell::OPTIONS],
        needs_machine: true,
        read: powershell::read,
    },
    Type {
        name: "windows-shell",
        options: &[options::windows_shell::OPTIONS],
        needs_machine: true,
        read: windows_shell::read,
    },
    Type {
        name: "windows-restart",
        options: &[options::windows_restart::OPTIONS],
        needs_machine: true,
        read: windows_restart::read,
    },
    Type {
        name: "sleep",
        options: &[options::sleep::OPTIONS],
        needs_machine: false,
        read: sleep,
    },
    Type {
        name: "ansible",
        options: &[options::ansible::OPTIONS],
        needs_machine: true,
        read: ansible::read,
    },
    Type {
        name: "ansible-local",
        options: &[options::ansible_local::OPTIONS],
        needs_machine: true,
        read: ansible_local::read,
    },
    Type {
        name: "breakpoint",
        options: &[options::breakpoint::OPTIONS],
        needs_machine: false,
        read: breakpoint::read,
    },
];

fn sleep(reader: &mut Reader<'_, '_>) -> Kind {
    let duration = reader.duration("duration");
    if duration.is_none() && !reader.is_set("duration") {
        reader.missing("duration", "Set it, for example to `30s`");
    }
    Kind::Sleep(duration.unwrap_or_default())
}

/// A provisioner of one build.
#[derive(Debug, Clone)]
pub struct Provisioner {
    /// Where its block stands.
    pub span: Span,
    /// When and how often it runs.
    pub meta: Meta,
    /// What it does.
    pub kind: Kind,
}

/// The provisioners there are.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Scripts on the machine.
    Shell(Box<Shell>),
    /// Files to or from the machine.
    File(File),
    /// Scripts on this machine.
    ShellLocal(Box<ShellLocal>),
    /// PowerShell scripts on the machine.
    PowerShell(Box<PowerShell>),
    /// Batch files on the machine.
    WindowsShell(Box<WindowsShell>),
    /// A restart of Windows.
    WindowsRestart(Box<WindowsRestart>),
    /// A wait.
    Sleep(Duration),
    /// A playbook on this machine, against the instance.
    Ansible(Box<Ansible>),
    /// Playbooks in the instance.
    AnsibleLocal(Box<AnsibleLocal>),
    /// A stop until somebody presses Enter.
    Breakpoint(Breakpoint),
}

impl Kind {
    /// The type as templates write it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Shell(_) => "shell",
            Self::File(_) => "file",
            Self::ShellLocal(_) => "shell-local",
            Self::PowerShell(_) => "powershell",
            Self::WindowsShell(_) => "windows-shell",
            Self::WindowsRestart(_) => "windows-restart",
            Self::Sleep(_) => "sleep",
            Self::Ansible(_) => "ansible",
            Self::AnsibleLocal(_) => "ansible-local",
            Self::Breakpoint(_) => "breakpoint",
        }
    }
}

/// Options of `shell`.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Lines of one script; rendered again at run time.
    pub inline: Vec<String>,
    /// Script files on this machine.
    pub scripts: Vec<Spanned<PathBuf>>,
    /// `environment_vars` then `env`, later ones win; without Packer's own.
    pub environment: Vec<(String, String)>,
    /// `env_var_format`; default `%s='%s' `, with an env file `export %s='%s'\n`.
    pub env_var_format: String,
    /// `execute_command`, rendered at run time with Vars, Path, EnvVarFile.
    pub execute_command: String,
    /// First line of an inline script, without `#!`.
    pub inline_shebang: String,
    /// Whether the user wrote `inline_shebang`.
    pub inline_shebang_is_set: bool,
    /// Keep CRLF as it is.
    pub binary: bool,
    /// Path of the script on the machine (`remote_path`), or else
    /// `remote_folder` and a generated name or `remote_file`.
    pub remote_path: Option<String>,
    /// Default `/tmp`.
    pub remote_folder: String,
    /// Default `script_<0-9998>.sh`, made at run time.
    pub remote_file: Option<String>,
    /// Leave the script on the machine.
    pub skip_clean: bool,
    /// A lost connection is expected.
    pub expect_disconnect: bool,
    /// How long upload and start are tried again.
    pub start_retry_timeout: Duration,
    /// Exit codes that mean success.
    pub valid_exit_codes: Vec<u32>,
    /// Send the environment as a file instead of on the command line.
    pub use_env_var_file: bool,
    /// Wait after it.
    pub pause_after: Duration,
}

/// Options of `file`.
#[derive(Debug, Clone)]
pub struct File {
    /// What to copy.
    pub source: FileSource,
    /// Where to.
    pub destination: String,
    /// Which way.
    pub direction: Direction,
}

/// What `file` copies.
#[derive(Debug, Clone)]
pub enum FileSource {
    /// Paths on this machine, or on the instance for a download.
    Paths(Vec<Spanned<String>>),
    /// The text itself (`content`).
    Content(String),
}

/// Which way `file` copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// To the machine.
    #[default]
    Upload,
    /// From the machine.
    Download,
}

/// Options of `shell-local`, as provisioner and as post-processor.
#[derive(Debug, Clone)]
pub struct ShellLocal {
    /// Lines of one script (also `command`); rendered again at run time.
    pub inline: Vec<String>,
    /// Script files.
    pub scripts: Vec<Spanned<PathBuf>>,
    /// `environment_vars` then `env`.
    pub environment: Vec<(String, String)>,
    /// Default `%s='%s' `.
    pub env_var_format: String,
    /// Default `["/bin/sh","-c","{{.Vars}} {{.Script}}"]`.
    pub execute_command: Vec<String>,
    /// First line of an inline script, without `#!`.
    pub inline_shebang: String,
    /// Whether the user wrote `inline_shebang`.
    pub inline_shebang_is_set: bool,
    /// Suffix of the temporary script.
    pub tempfile_extension: String,
    /// Go's names of operating systems it runs on; all when empty.
    pub only_on: Vec<String>,
    /// Exit codes that mean success.
    pub valid_exit_codes: Vec<u32>,
}

/// Options of `powershell`.
#[derive(Debug, Clone)]
pub struct PowerShell {
    /// Lines of one script; rendered again at run time.
    pub inline: Vec<String>,
    /// Script files on this machine.
    pub scripts: Vec<Spanned<PathBuf>>,
    /// `environment_vars` then `env`, later ones win; without Packer's own.
    pub environment: Vec<(String, String)>,
    /// Default `$env:%s="%s"; `.
    pub env_var_format: String,
    /// `execute_command`, rendered at run time with Vars and Path.
    pub execute_command: String,
    /// Runs the scripts in a scheduled task instead.
    pub elevated: Option<Elevated>,
    /// Path of the script on the machine; by default a random one.
    pub remote_path: Option<String>,
    /// Path of the script that sets the environment; by default a random one.
    pub remote_env_var_path: Option<String>,
    /// Leave the scripts on the machine.
    pub skip_clean: bool,
    /// How long upload and start are tried again.
    pub start_retry_timeout: Duration,
    /// Exit codes that mean success.
    pub valid_exit_codes: Vec<u32>,
    /// Wait after it.
    pub pause_after: Duration,
}

/// Whose scheduled task runs PowerShell scripts; all rendered at run time.
#[derive(Debug, Clone)]
pub struct Elevated {
    /// `elevated_user`.
    pub user: String,
    /// `elevated_password`; empty for service accounts.
    pub password: Secret,
    /// `elevated_execute_command`.
    pub execute_command: String,
}

/// Options of `windows-shell`.
#[derive(Debug, Clone)]
pub struct WindowsShell {
    /// Lines of one batch file; rendered again at run time.
    pub inline: Vec<String>,
    /// Batch files on this machine.
    pub scripts: Vec<Spanned<PathBuf>>,
    /// `environment_vars` then `env`, later ones win; without Packer's own.
    pub environment: Vec<(String, String)>,
    /// Default `set "%s=%s" && `.
    pub env_var_format: String,
    /// `execute_command`, rendered at run time with Vars and Path.
    pub execute_command: String,
    /// Path of the batch file on the machine.
    pub remote_path: String,
    /// How long upload and start are tried again.
    pub start_retry_timeout: Duration,
    /// Exit codes that mean success.
    pub valid_exit_codes: Vec<u32>,
}

/// Options of `windows-restart`.
#[derive(Debug, Clone)]
pub struct WindowsRestart {
    /// `restart_command`, rendered at run time.
    pub command: String,
    /// `restart_check_command`, when written.
    pub check_command: Option<String>,
    /// How long the machine may take to come back.
    pub timeout: Duration,
    /// Keys that must be gone; none unless `check_registry` is set.
    pub registry_keys: Vec<String>,
}
