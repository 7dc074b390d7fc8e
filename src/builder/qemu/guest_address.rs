//! Addresses: the guest's on a bridge, found by its network card, and ours on
//! an interface.
//!
//! Source of facts: proc(5) (`/proc/net/arp`), QEMU's object tree, ip(8).

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::BuildContext;
use super::program::Program;
use super::qmp::Qmp;
use crate::error::{Error, Kind, Result};

const PAUSE: Duration = Duration::from_secs(1);

/// Where QEMU keeps devices without names.
const DEVICES: &str = "/machine/peripheral-anon";

/// Waits until the guest has spoken to this machine.
pub(super) async fn of_guest(cx: &BuildContext<'_>, qmp: &Path, limit: Duration) -> Result<String> {
    let card = card(&mut Qmp::connect(qmp).await?).await?;
    cx.events
        .say(format!("Waiting for the address of {card}..."));
    let found = async {
        loop {
            let table = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
            if let Some(address) = address_of(&table, &card) {
                return Ok(address);
            }
            cx.stop.sleep(PAUSE).await?;
        }
    };
    let what = format!("waiting for the guest's network card {card} to show up");
    cx.stop.within(limit, &what, found).await?
}

/// The address of the guest's network card.
async fn card(qmp: &mut Qmp) -> Result<String> {
    let devices = qmp.execute("qom-list", json!({"path": DEVICES})).await?;
    for device in devices.as_array().into_iter().flatten() {
        let Some(name) = device["name"].as_str() else {
            continue;
        };
        let path = format!("{DEVICES}/{name}");
        let request = json!({"path": path, "property": "mac"});
        // Other devices have no such property.
        if let Ok(address) = qmp.execute("qom-get", request).await
            && let Some(address) = address.as_str()
        {
            return Ok(address.to_ascii_lowercase());
        }
    }
    Err(Error::new(Kind::Connect, "The machine has no network card").with_hint("Set `ssh_host`"))
}

/// The IP address in the kernel's table that belongs to a card.
fn address_of(table: &str, card: &str) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let address = fields.next()?;
        let found = fields.nth(2)?;
        found.eq_ignore_ascii_case(card).then(|| address.to_owned())
    })
}

/// The first address of a network interface of this machine.
///
/// # Errors
/// [`Kind::Io`] when it does not exist or has no IPv4 address.
pub(super) async fn of_interface(cx: &BuildContext<'_>, interface: &str) -> Result<Ipv4Addr> {
    let ip = Program::find("ip", cx.environment)?;
    let output = ip
        .run(cx, ["-4", "-o", "address", "show", "dev", interface])
        .await?;
    first_address(&String::from_utf8_lossy(&output)).ok_or_else(|| {
        let message = format!("Network interface `{interface}` has no IPv4 address");
        Error::new(Kind::Io, message)
    })
}

fn first_address(text: &str) -> Option<Ipv4Addr> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == "inet")?;
    words.next()?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     192.168.1.7      0x1         0x2         52:54:00:12:34:56     *        br0\n";
        let found = address_of(table, "52:54:00:12:34:56");
        assert_eq!(found.as_deref(), Some("192.168.1.7"));
        assert_eq!(address_of(table, "52:54:00:00:00:00"), None);
        let text = "4: br0    inet 10.1.2.3/24 brd 10.1.2.255 scope global br0\n";
        assert_eq!(first_address(text), Some(Ipv4Addr::new(10, 1, 2, 3)));
        assert_eq!(first_address(""), None);
    }
}
