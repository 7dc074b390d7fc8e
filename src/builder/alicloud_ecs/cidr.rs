//! Picking an address range for a vSwitch inside a VPC.

use std::net::Ipv4Addr;

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    base: u32,
    prefix: u8,
}

/// The size of a vSwitch: 252 usable addresses are plenty for one instance.
const VSWITCH_PREFIX: u8 = 24;

impl Cidr {
    /// Reads `a.b.c.d/n`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
        let address: Ipv4Addr = address.parse().ok()?;
        Some(Self {
            base: u32::from(address) & mask(prefix),
            prefix,
        })
    }

    /// The first range for a vSwitch inside this one that overlaps none of
    /// `taken`.
    pub(super) fn free_subnet(&self, taken: &[Cidr]) -> Option<Cidr> {
        let prefix = self.prefix.max(VSWITCH_PREFIX);
        let size = 1u64 << (32 - prefix);
        let count = 1u64 << (prefix - self.prefix);
        (0..count)
            .map(|index| u64::from(self.base) + index * size)
            .filter_map(|base| u32::try_from(base).ok())
            .map(|base| Cidr { base, prefix })
            .find(|subnet| !taken.iter().any(|other| subnet.overlaps(*other)))
    }

    fn overlaps(self, other: Cidr) -> bool {
        let wider = mask(self.prefix.min(other.prefix));
        self.base & wider == other.base & wider
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_first_free_range() {
        let cases: [(&str, &[&str], Option<&str>); 7] = [
            ("172.16.0.0/12", &[], Some("172.16.0.0/24")),
            ("172.16.0.0/12", &["172.16.0.0/24"], Some("172.16.1.0/24")),
            ("172.16.0.0/16", &["172.16.0.0/20"], Some("172.16.16.0/24")),
            ("192.168.1.128/25", &[], Some("192.168.1.128/25")),
            ("192.168.1.128/25", &["192.168.1.192/26"], None),
            ("10.0.0.7/24", &[], Some("10.0.0.0/24")),
            ("0.0.0.0/0", &["0.0.0.0/1"], Some("128.0.0.0/24")),
        ];
        for (vpc, taken, expected) in cases {
            let taken: Vec<_> = taken
                .iter()
                .map(|cidr| Cidr::parse(cidr).unwrap())
                .collect();
            let free = Cidr::parse(vpc)
                .unwrap()
                .free_subnet(&taken)
                .map(|cidr| cidr.to_string());
            assert_eq!(free.as_deref(), expected, "{vpc} without {taken:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "x/8"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}
