//! Options that say how a machine is reached.

use super::{K, OptionSpec, defaulted, option, renamed, unsupported};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    defaulted(
        "communicator",
        K::String,
        "ssh",
        "How the machine is reached: `ssh`, `winrm` or `none`.",
    ),
    defaulted(
        "pause_before_connecting",
        K::Duration,
        "0s",
        "Wait after the first connection, then connect again.",
    ),
    option(
        "ssh_host",
        K::String,
        "Address to connect to instead of the instance's own.",
    ),
    defaulted("ssh_port", K::Int, "22", "TCP port of SSH."),
    option(
        "ssh_username",
        K::String,
        "User to log in as; required with `communicator: ssh`.",
    ),
    option(
        "ssh_password",
        K::Secret,
        "Password to log in with; the instance is created with it.",
    ),
    option(
        "ssh_private_key_file",
        K::Path,
        "File with an unencrypted private key; `~/` is the home directory.",
    ),
    option(
        "ssh_certificate_file",
        K::Path,
        "File with a certificate for `ssh_private_key_file`.",
    ),
    option(
        "ssh_known_hosts_file",
        K::Path,
        "`known_hosts` file the host key must be in; by default the first key seen is pinned. Not an option of Packer.",
    ),
    option(
        "ssh_keypair_name",
        K::String,
        "Key pair in ECS to attach; needs `ssh_private_key_file` or `ssh_agent_auth`.",
    ),
    option(
        "temporary_key_pair_name",
        K::String,
        "Name of the key pair made for this build, 2 to 128 characters.",
    ),
    defaulted(
        "temporary_key_pair_type",
        K::String,
        "ed25519",
        "Sort of the key made for this build: `ed25519`, `rsa` or `ecdsa`.",
    ),
    option(
        "temporary_key_pair_bits",
        K::Int,
        "Size of that key: 1024 or more for `rsa` (4096 by default), 256, 384 or 521 for `ecdsa` (521 by default).",
    ),
    defaulted(
        "ssh_clear_authorized_keys",
        K::Bool,
        "false",
        "Remove the temporary key from the machine after provisioning.",
    ),
    option(
        "ssh_ciphers",
        K::StringList,
        "Ciphers to offer instead of the default ones.",
    ),
    option(
        "ssh_key_exchange_algorithms",
        K::StringList,
        "Key exchange algorithms to offer instead of the default ones.",
    ),
    defaulted(
        "ssh_pty",
        K::Bool,
        "false",
        "Ask for a terminal for each command.",
    ),
    defaulted(
        "ssh_timeout",
        K::Duration,
        "5m",
        "Limit for the first connection; no limit when only `ssh_handshake_attempts` is written.",
    ),
    defaulted(
        "ssh_handshake_attempts",
        K::Int,
        "10",
        "Limit of failed logins; no limit when only `ssh_timeout` is written.",
    ),
    defaulted(
        "ssh_agent_auth",
        K::Bool,
        "false",
        "Log in with the agent at `SSH_AUTH_SOCK`.",
    ),
    defaulted(
        "ssh_disable_agent_forwarding",
        K::Bool,
        "false",
        "Do not offer the agent to the instance.",
    ),
    defaulted(
        "ssh_keep_alive_interval",
        K::Duration,
        "5s",
        "Time between keep-alive requests; a negative one switches them off.",
    ),
    option(
        "ssh_read_write_timeout",
        K::Duration,
        "Limit for a silent connection.",
    ),
    defaulted(
        "ssh_file_transfer_method",
        K::String,
        "sftp",
        "How files travel: `sftp` (falls back to scp) or `scp`.",
    ),
    option("ssh_bastion_host", K::String, "Host to go through."),
    defaulted("ssh_bastion_port", K::Int, "22", "TCP port of the bastion."),
    option(
        "ssh_bastion_username",
        K::String,
        "User on the bastion; by default `ssh_username`.",
    ),
    option(
        "ssh_bastion_password",
        K::Secret,
        "Password on the bastion.",
    ),
    option(
        "ssh_bastion_private_key_file",
        K::Path,
        "Private key for the bastion; by default `ssh_private_key_file`.",
    ),
    option(
        "ssh_bastion_certificate_file",
        K::Path,
        "Certificate for the bastion's key.",
    ),
    defaulted(
        "ssh_bastion_agent_auth",
        K::Bool,
        "false",
        "Log in to the bastion with the agent.",
    ),
    unsupported(
        "ssh_bastion_interactive",
        K::Bool,
        "Nobody can type in a CI job; use `ssh_bastion_password`, a key or the agent",
        "Ask for the bastion's password.",
    ),
    option("ssh_proxy_host", K::String, "SOCKS5 proxy to go through."),
    defaulted("ssh_proxy_port", K::Int, "1080", "TCP port of the proxy."),
    option("ssh_proxy_username", K::String, "User of the proxy."),
    option("ssh_proxy_password", K::Secret, "Password of the proxy."),
    option(
        "ssh_remote_tunnels",
        K::StringList,
        "`remoteport:host:port`, listening on the instance.",
    ),
    option(
        "ssh_local_tunnels",
        K::StringList,
        "`localport:host:port`, listening on this machine.",
    ),
    unsupported(
        "ssh_interface",
        K::String,
        "Use `ssh_private_ip` or `ssh_host` to choose the address",
        "Which address is used.",
    ),
    unsupported(
        "ssh_private_key",
        K::Secret,
        "Write the key to a file and name it in `ssh_private_key_file`",
        "Text of a private key.",
    ),
    unsupported(
        "ssh_public_key",
        K::String,
        "Write the key to a file and name it in `ssh_private_key_file`",
        "Text of a public key.",
    ),
    renamed("ssh_wait_timeout", K::Duration, "ssh_timeout"),
    renamed("ssh_key_path", K::Path, "ssh_private_key_file"),
    renamed("ssh_disable_agent", K::Bool, "ssh_disable_agent_forwarding"),
    renamed(
        "temporary_keypair_name",
        K::String,
        "temporary_key_pair_name",
    ),
    option(
        "winrm_username",
        K::String,
        "User to log in as; required with `communicator: winrm`.",
    ),
    option(
        "winrm_password",
        K::Secret,
        "Password of that user; an instance is created with it.",
    ),
    option(
        "winrm_host",
        K::String,
        "Address to connect to instead of the instance's own.",
    ),
    defaulted(
        "winrm_port",
        K::Int,
        "5985",
        "TCP port of WinRM; by default 5986 with `winrm_use_ssl`.",
    ),
    defaulted(
        "winrm_timeout",
        K::Duration,
        "30m",
        "Limit for the first connection.",
    ),
    defaulted("winrm_use_ssl", K::Bool, "false", "Use HTTPS."),
    defaulted(
        "winrm_insecure",
        K::Bool,
        "false",
        "Do not check the certificate of HTTPS.",
    ),
    defaulted(
        "winrm_use_ntlm",
        K::Bool,
        "false",
        "Log in with NTLM instead of Basic; over HTTP messages are then encrypted.",
    ),
    defaulted(
        "winrm_no_proxy",
        K::Bool,
        "false",
        "Connect without the proxy of the environment.",
    ),
];
