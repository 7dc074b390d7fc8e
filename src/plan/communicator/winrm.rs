//! Reads the `winrm_*` options. Rules and defaults are Packer's.

use std::time::Duration;

use super::Winrm;
use crate::plan::reader::Reader;
use crate::secret::Secret;
use crate::template::source::Spanned;

const TIMEOUT: Duration = Duration::from_secs(30 * 60);
const HTTP_PORT: u16 = 5985;
const HTTPS_PORT: u16 = 5986;

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Winrm {
    let use_ssl = reader.flag("winrm_use_ssl");
    let default_port = if use_ssl { HTTPS_PORT } else { HTTP_PORT };
    let timeout = reader.duration("winrm_timeout");
    let winrm = Winrm {
        host: reader.plain("winrm_host"),
        port: reader.port("winrm_port", default_port),
        username: username(reader),
        password: password(reader),
        use_ssl,
        insecure: reader.flag("winrm_insecure"),
        use_ntlm: reader.flag("winrm_use_ntlm"),
        no_proxy: reader.flag("winrm_no_proxy"),
        timeout: timeout
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(TIMEOUT),
        pause_before_connecting: reader
            .duration("pause_before_connecting")
            .unwrap_or_default(),
    };
    check_together(reader, &winrm);
    winrm
}

fn username(reader: &mut Reader<'_, '_>) -> Spanned<String> {
    reader.text("winrm_username").unwrap_or_else(|| {
        let help = "Set it, to `Administrator` for Alibaba Cloud's Windows images";
        reader.missing("winrm_username", help);
        Spanned::default_value(String::new())
    })
}

fn password(reader: &mut Reader<'_, '_>) -> Secret {
    reader.secret("winrm_password").unwrap_or_else(|| {
        reader.missing("winrm_password", "WinRM lets nobody in without a password");
        Secret::new("")
    })
}

fn check_together(reader: &mut Reader<'_, '_>, winrm: &Winrm) {
    if winrm.insecure && !winrm.use_ssl {
        let help = "HTTP has no certificate; set `winrm_use_ssl` to `true` for HTTPS";
        reader.warning(
            "winrm_insecure",
            "has no effect without `winrm_use_ssl`",
            help,
        );
    }
    let ports = [(HTTP_PORT, true, "HTTP"), (HTTPS_PORT, false, "HTTPS")];
    for (port, used_with_ssl, protocol) in ports {
        if winrm.port == port && winrm.use_ssl == used_with_ssl {
            let what = format!("is {port}, which normally speaks {protocol}");
            reader.warning("winrm_port", &what, "Check `winrm_use_ssl`");
        }
    }
}
