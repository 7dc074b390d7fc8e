//! Free ports of this machine.
//!
//! QEMU opens its ports itself, so a port that was free may be taken until it
//! does. Builds on one machine, also of several processes, do not take each
//! other's: who wants a port first binds a socket named after it in Linux's
//! abstract namespace, which belongs to the same network namespace as the
//! port, and vanishes with its process. Source of facts: unix(7).

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

use crate::error::{Error, Kind, Result};
use crate::plan::qemu::Ports;

/// A port that nobody listens on; no other build will get it until it is
/// dropped.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _claim: UnixListener,
}

impl Port {
    /// A free port in a range, beginning anywhere in it.
    ///
    /// # Errors
    /// [`Kind::Busy`] when all are taken. `option` names the range's options.
    pub(super) fn find(address: IpAddr, ports: Ports, option: &str) -> Result<Self> {
        let count = u32::from(ports.high - ports.low) + 1;
        let first = rand::random_range(0..count);
        for step in 0..count {
            let offset = (first + step) % count;
            let port = ports.low + u16::try_from(offset).unwrap_or_default();
            if let Some(port) = Self::reserve(address, port) {
                return Ok(port);
            }
        }
        let Ports { low, high } = ports;
        let message = format!("All ports of {address} from {low} to {high} are in use");
        let hint = format!("Widen the range `{option}_min` to `{option}_max`");
        Err(Error::new(Kind::Busy, message).with_hint(hint))
    }

    /// The number.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    fn reserve(address: IpAddr, number: u16) -> Option<Self> {
        let name = format!("alicloud-image-port-{number}");
        let claim = UnixAddress::from_abstract_name(name).ok()?;
        let claim = UnixListener::bind_addr(&claim).ok()?;
        // Who listens on all addresses listens on this one too.
        let is_free = TcpListener::bind((address, number)).is_ok()
            && (address.is_ipv6() || TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok());
        is_free.then_some(Self {
            number,
            _claim: claim,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once_and_taken_ones_are_not() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((address, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let only = |port| Ports {
            low: port,
            high: port,
        };
        let error = Port::find(address, only(taken), "host_port").unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        drop(listener);
        let port = Port::find(address, only(taken), "host_port").unwrap();
        assert_eq!(port.number(), taken);
        assert!(Port::find(address, only(taken), "host_port").is_err());
        drop(port);
        assert!(Port::find(address, only(taken), "host_port").is_ok());
    }
}
