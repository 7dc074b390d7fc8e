//! Machines with Windows in them, as far as that goes without Windows: WinRM is
//! served by a machine of the sandbox in place of the boot sector.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use alicloud_image_sandbox::machine::{BootSpec, Machine, MachineHost as _};
use serde_json::{Value, json};

use super::{assert_nothing_left, build, lab, programs_in, to_its_end, until_shown};
use crate::harness::{Lab, guests};

/// The user data of a machine with Basic over HTTP.
const USUAL: &str = include_str!("../../../examples/alicloud/basic/winrm_enable_userdata.ps1");

/// A Windows machine that listens on an address of its own.
async fn windows(address: &str) -> Arc<dyn Machine> {
    let guests = guests();
    let machine = guests.boot(BootSpec {
        instance_id: "vm".to_owned(),
        hostname: "vm".to_owned(),
        password: Some("Test1234".to_owned()),
        windows: true,
        user_data: Some(USUAL.into()),
        ..BootSpec::default()
    });
    let machine = machine.await.unwrap();
    let address: IpAddr = address.parse().unwrap();
    machine.listen(SocketAddr::new(address, 0)).await.unwrap();
    machine
}

fn options() -> Value {
    json!({
        "communicator": "winrm", "winrm_username": "Administrator",
        "winrm_password": "Test1234", "winrm_timeout": "2s",
    })
}

fn write(lab: &Lab, options: &Value, provisioners: Value) {
    let mut template = super::template(options);
    template["provisioners"] = provisioners;
    lab.write_template(&template);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_and_the_machine_is_switched_off() {
    const ADDRESS: &str = "127.77.0.1";
    let _windows = windows(ADDRESS).await;
    let mut options = options();
    options["winrm_host"] = json!(ADDRESS);
    options["skip_nat_mapping"] = json!(true);
    options["winrm_timeout"] = json!("60s");
    options["boot_command"] = json!("<waitText \"serial boot: \" 60s>");
    let lab = lab(options.clone()).await;
    lab.write("hello.txt", "hello from a file");
    let provisioners = json!([
        {"type": "file", "source": "hello.txt", "destination": "C:/hello.txt"},
        {"type": "powershell", "inline": [
            "Get-Content C:/hello.txt", "echo '{{ build `ConnType` }} {{ build `Host` }}'"]}
    ]);
    write(&lab, &options, provisioners);
    let outcome = build(&lab).await.success();
    for line in [
        "Connected to WinRM!",
        "hello from a file",
        "winrm 127.77.0.1",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.text());
    }
    assert!(lab.path("output-vm/packer-vm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_this_machine_leads_to_winrm() {
    for (ssl, guest_port) in [(false, 5985), (true, 5986)] {
        let mut options = options();
        options["winrm_use_ssl"] = json!(ssl);
        let lab = lab(options).await;
        let mut child = lab.start(&["build", "template.json"]);
        let shown = until_shown(&mut child, "Waiting for WinRM").await;
        let found = "Found port for communicator (SSH, WinRM, etc): ";
        let (_, port) = shown.split_once(found).unwrap();
        let (port, _) = port.split_once('.').unwrap();
        let forward = format!("hostfwd=tcp:127.0.0.1:{port}-:{guest_port}");
        let programs = programs_in(&lab);
        assert!(
            programs.iter().any(|words| words.contains(&forward)),
            "{programs:?}"
        );
        let (code, rest) = to_its_end(child).await;
        assert_eq!(code, 1, "{rest}");
        for part in [
            &format!("Timeout waiting for WinRM at 127.0.0.1:{port} after 2s: Last attempt: "),
            "See what the machine's screen showed: ",
            "the guest itself must enable WinRM and open winrm_port in its firewall",
        ] {
            assert!(rest.contains(part), "{part}: {rest}");
        }
        let picture = std::fs::read(lab.path("output-vm-screen.png")).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
        assert_nothing_left(&lab);
    }
}
