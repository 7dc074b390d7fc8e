//! What WinRM on a machine listens to and whom it lets in.
//!
//! It is off in a fresh image; Negotiate is allowed, Basic and unencrypted
//! messages are not. Facts: `winrm help config`, about_Remote_Requirements.

/// The configuration of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) http: bool,
    pub(crate) https: bool,
    pub(crate) basic: bool,
    pub(crate) negotiate: bool,
    pub(crate) allow_unencrypted: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: false,
            https: false,
            basic: false,
            negotiate: true,
            allow_unencrypted: false,
        }
    }
}

/// First lines that make user data a script on Windows.
const SCRIPT_MARKS: [&str; 7] = [
    "[powershell]",
    "[bat]",
    "#powershell",
    "<powershell>",
    "#ps1",
    "#ps1_sysnative",
    "rem cmd",
];

impl Settings {
    /// Does what user data says about WinRM. Nothing else in it is run.
    pub(crate) fn obey_user_data(&mut self, user_data: &[u8]) {
        let text = String::from_utf8_lossy(user_data);
        let first = text.trim_start_matches('\u{feff}').lines().next();
        let first = first.unwrap_or_default().trim().to_lowercase();
        if SCRIPT_MARKS.contains(&first.as_str()) {
            text.lines().for_each(|line| self.obey(line));
        }
    }

    /// Does what a command says about WinRM, if it says anything.
    pub(crate) fn obey(&mut self, command: &str) {
        let line = command.trim().to_lowercase();
        if line.starts_with('#') || line.starts_with("rem ") {
            return;
        }
        let of_client = line.contains("config/client") || line.contains("\\client\\");
        let is_https = line.replace([' ', '-'], "").contains("transport:https")
            || line.contains("transport=https")
            || line.contains("-transport https");
        let mentions = |words: &[&str]| words.iter().any(|word| line.contains(word));
        let makes_listener =
            mentions(&["winrm create", "new-wsmaninstance", "new-item"]) && mentions(&["listener"]);
        let sets_up = mentions(&["winrm quickconfig", "winrm qc", "enable-psremoting"]);
        if sets_up || makes_listener {
            self.http |= !is_https;
            self.https |= is_https;
        } else if mentions(&["winrm delete", "remove-item", "remove-wsmaninstance"])
            && mentions(&["listener"])
        {
            self.http &= line.contains("transport=https");
            self.https &= line.contains("transport=http") && !line.contains("transport=https");
        }
        if !of_client {
            set(&mut self.allow_unencrypted, &line, "allowunencrypted");
            if line.contains("auth") {
                set(&mut self.basic, &line, "basic");
                set(&mut self.negotiate, &line, "negotiate");
            }
        }
    }
}

/// Sets a flag to the first `true` or `false` behind its name.
fn set(flag: &mut bool, line: &str, name: &str) {
    let Some((_, after)) = line.split_once(name) else {
        return;
    };
    match (after.find("true"), after.find("false")) {
        (Some(on), Some(off)) => *flag = on < off,
        (Some(_), None) => *flag = true,
        (None, Some(_)) => *flag = false,
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_sets_winrm_up() {
        let usual = "#powershell\n\
            Remove-Item -Path WSMan:\\Localhost\\listener\\listener* -Recurse\n\
            cmd.exe /c winrm quickconfig -q\n\
            cmd.exe /c winrm set \"winrm/config/service\" '@{AllowUnencrypted=\"true\"}'\n\
            cmd.exe /c winrm set \"winrm/config/client/auth\" '@{Negotiate=\"false\"}'\n\
            cmd.exe /c winrm set \"winrm/config/service/auth\" '@{Basic=\"true\"}'\n";
        let mut settings = Settings::default();
        settings.obey_user_data(usual.as_bytes());
        let expected = Settings {
            http: true,
            https: false,
            basic: true,
            negotiate: true,
            allow_unencrypted: true,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn https_needs_a_listener_and_scripts_their_mark() {
        let create = "winrm create winrm/config/Listener?Address=*+Transport=HTTPS \
                      @{Hostname=\"x\";CertificateThumbprint=\"1\"}";
        let item = "New-Item -Path WSMan:\\LocalHost\\Listener -Transport HTTPS -Address *";
        for command in [create, item] {
            let mut settings = Settings::default();
            settings.obey_user_data(format!("[powershell]\r\n{command}").as_bytes());
            assert!(settings.https && !settings.http, "{command}");
            let mut settings = Settings::default();
            settings.obey_user_data(command.as_bytes());
            assert_eq!(settings, Settings::default(), "no mark");
        }
    }
}
