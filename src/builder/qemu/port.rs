//! Free ports of this machine.
//!
//! QEMU opens its ports itself, so a port that was free may be taken until it
//! does. Builds of this process do not take each other's: each port is handed
//! out once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::plan::qemu::Ports;

static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that nobody listens on; of this process nobody else will get it
/// until it is dropped.
#[derive(Debug)]
pub(super) struct Port(u16);

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
        self.0
    }

    fn reserve(address: IpAddr, port: u16) -> Option<Self> {
        let mut taken = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        // Who listens on all addresses listens on this one too.
        let is_free = TcpListener::bind((address, port)).is_ok()
            && (address.is_ipv6() || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok());
        // Lazily: dropping one that is not ours would give it back.
        (is_free && taken.insert(port)).then(|| Self(port))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut taken = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.0);
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
