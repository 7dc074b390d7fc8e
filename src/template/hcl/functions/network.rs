//! Functions of networks: addresses, masks and subnets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::value::Value;
use super::signature::{Arguments, Function, Parameter};
use super::{FunctionError, Outcome, excerpt};

/// By how many bits a prefix is extended at most, as in Packer.
const EXTENSION_MAX: i64 = 32;

const PREFIX: Parameter = Parameter::text("prefix");

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "cidrhost",
        &[PREFIX, Parameter::number("hostnum")],
        cidrhost,
    ),
    Function::new("cidrnetmask", &[PREFIX], cidrnetmask),
    Function::new(
        "cidrsubnet",
        &[
            PREFIX,
            Parameter::number("newbits"),
            Parameter::number("netnum"),
        ],
        cidrsubnet,
    ),
    Function::new("cidrsubnets", &[PREFIX], cidrsubnets)
        .and_any_number_of(Parameter::number("newbits")),
];

/// A network of either version.
#[derive(Debug, Clone, Copy)]
struct Network {
    /// The first address.
    bits: u128,
    /// How many bits of it name the network.
    prefix: u32,
    is_v4: bool,
}

impl Network {
    fn parse(arguments: &Arguments<'_>) -> Result<Self, FunctionError> {
        let text = arguments.text(0);
        Self::read(text).ok_or_else(|| {
            FunctionError::at(0, format!("`{}` is no network", excerpt(text)))
                .with_hint("Write an address and the length of its prefix, as in `10.0.0.0/8`")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u32 = prefix.parse().ok().filter(|_| is_plain)?;
        let (bits, is_v4) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), true),
            IpAddr::V6(address) => (u128::from(address), false),
        };
        let network = Self {
            bits,
            prefix,
            is_v4,
        };
        (prefix <= network.width()).then(|| network.at(bits & network.mask()))
    }

    fn at(self, bits: u128) -> Self {
        Self { bits, ..self }
    }

    /// The length of an address in bits.
    fn width(self) -> u32 {
        if self.is_v4 { 32 } else { 128 }
    }

    /// The bits that name the network.
    fn mask(self) -> u128 {
        all(self.width()) & !all(self.width() - self.prefix)
    }

    fn address(self, bits: u128) -> IpAddr {
        match self.is_v4 {
            true => IpAddr::V4(Ipv4Addr::from(bits as u32)),
            false => IpAddr::V6(Ipv6Addr::from(bits)),
        }
    }

    fn text(self) -> String {
        format!("{}/{}", self.address(self.bits), self.prefix)
    }

    /// The network with a prefix longer by some bits.
    fn extended(self, by: i64) -> Result<Self, String> {
        let longer = i64::from(self.prefix) + by;
        if by > EXTENSION_MAX {
            return Err(format!(
                "A prefix is extended by at most {EXTENSION_MAX} bits"
            ));
        }
        match u32::try_from(longer) {
            Ok(prefix) if by >= 0 && prefix <= self.width() => Ok(Self { prefix, ..self }),
            Ok(prefix) if by >= 0 => Err(format!(
                "A prefix of {prefix} bits is longer than the {} of an address",
                self.width()
            )),
            _ => Err("A prefix cannot be extended by less than no bits".to_owned()),
        }
    }
}

fn all(bits: u32) -> u128 {
    1u128.checked_shl(bits).map_or(u128::MAX, |bit| bit - 1)
}

fn cidrhost(arguments: &Arguments<'_>) -> Outcome {
    let (network, number) = (Network::parse(arguments)?, arguments.integer(1)?);
    let hosts = all(network.width() - network.prefix);
    let distance = u128::from(number.unsigned_abs());
    // Counted from the end when negative.
    let host = match number {
        0.. if distance <= hosts => distance,
        ..0 if distance - 1 <= hosts => hosts - (distance - 1),
        _ => {
            let message = format!("The network `{}` has no host {number}", network.text());
            return Err(FunctionError::at(1, message));
        }
    };
    Ok(network.address(network.bits | host).to_string().into())
}

fn cidrnetmask(arguments: &Arguments<'_>) -> Outcome {
    let network = Network::parse(arguments)?;
    Ok(network.address(network.mask()).to_string().into())
}

fn cidrsubnet(arguments: &Arguments<'_>) -> Outcome {
    let network = Network::parse(arguments)?;
    let (by, number) = (arguments.integer(1)?, arguments.integer(2)?);
    let subnet = network
        .extended(by)
        .map_err(|message| FunctionError::at(1, message))?;
    let number = u128::try_from(number)
        .ok()
        .filter(|number| *number <= all(subnet.prefix - network.prefix))
        .ok_or_else(|| {
            let message = format!("{by} more bits do not hold a subnet {number}");
            FunctionError::at(2, message)
        })?;
    let shift = subnet.width() - subnet.prefix;
    let bits = number.checked_shl(shift).unwrap_or(0);
    Ok(subnet.at(network.bits | bits).text().into())
}

fn cidrsubnets(arguments: &Arguments<'_>) -> Outcome {
    let network = Network::parse(arguments)?;
    let end = network.bits | all(network.width() - network.prefix);
    // Nothing when the address space is used up.
    let mut next = Some(network.bits);
    let mut subnets: Vec<Value> = Vec::new();
    for index in 1..arguments.count() {
        let by = arguments.integer(index)?;
        if by < 1 {
            return Err(FunctionError::at(
                index,
                "A prefix has to be extended by at least one bit",
            ));
        }
        let subnet = network
            .extended(by)
            .map_err(|message| FunctionError::at(index, message))?;
        let hosts = all(subnet.width() - subnet.prefix);
        let start = next
            .and_then(|next| next.checked_add(hosts))
            .map(|bits| bits & !hosts);
        let Some(start) = start.filter(|start| (start | hosts) <= end) else {
            let message = format!(
                "`{}` has no room left for a prefix of {} bits",
                network.text(),
                subnet.prefix
            );
            return Err(FunctionError::at(index, message));
        };
        subnets.push(subnet.at(start).text().into());
        next = (start | hosts).checked_add(1);
    }
    Ok(Value::List(subnets))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (r#"cidrhost("10.12.127.0/20",16)"#, r#""10.12.112.16""#),
            (r#"cidrhost("10.12.127.0/20",268)"#, r#""10.12.113.12""#),
            (r#"cidrhost("10.12.127.0/20",-1)"#, r#""10.12.127.255""#),
            (
                r#"cidrhost("fd00:fd12:3456:7890:00a2::/72",34)"#,
                r#""fd00:fd12:3456:7890::22""#,
            ),
            (
                r#"cidrhost("10.0.0.0/30",4)"#,
                "! The network `10.0.0.0/30` has no host 4",
            ),
            (
                r#"cidrhost("10.0.0.0/30",-5)"#,
                "! The network `10.0.0.0/30` has no host -5",
            ),
            (r#"cidrhost("10.0.0.5/24",1)"#, r#""10.0.0.1""#),
            (r#"cidrhost("x",1)"#, "! `x` is no network"),
            (
                r#"cidrhost("10.0.0.0/33", 1)"#,
                "! `10.0.0.0/33` is no network",
            ),
            (r#"cidrhost("10.0.0.0/31", -1)"#, r#""10.0.0.1""#),
            (
                r#"cidrhost("10.0.0.0/0", 4294967295)"#,
                r#""255.255.255.255""#,
            ),
            (
                r#"cidrhost("010.0.0.0/8", 1)"#,
                "! `010.0.0.0/8` is no network",
            ),
            (
                r#"cidrhost("fe80::/64", -1)"#,
                r#""fe80::ffff:ffff:ffff:ffff""#,
            ),
            (r#"cidrnetmask("172.16.0.0/12")"#, r#""255.240.0.0""#),
            (r#"cidrnetmask("fe80::/10")"#, r#""ffc0::""#),
            (r#"cidrnetmask("0.0.0.0/0")"#, r#""0.0.0.0""#),
            (r#"cidrnetmask("10.0.0.0")"#, "! `10.0.0.0` is no network"),
            (r#"cidrsubnet("172.16.0.0/12",4,2)"#, r#""172.18.0.0/16""#),
            (r#"cidrsubnet("10.1.2.0/24",4,15)"#, r#""10.1.2.240/28""#),
            (
                r#"cidrsubnet("10.1.2.0/24",4,16)"#,
                "! 4 more bits do not hold a subnet 16",
            ),
            (
                r#"cidrsubnet("10.1.2.0/24",9,1)"#,
                "! A prefix of 33 bits is longer than the 32 of an address",
            ),
            (r#"cidrsubnet("fe80::/48",16,6)"#, r#""fe80:0:0:6::/64""#),
            (
                r#"cidrsubnet("fe80::/48",33,6)"#,
                "! A prefix is extended by at most 32 bits",
            ),
            (
                r#"cidrsubnet("10.0.0.0/8", 8, -1)"#,
                "! 8 more bits do not hold a subnet -1",
            ),
            (
                r#"cidrsubnet("10.0.0.0/8", -8, 1)"#,
                "! A prefix cannot be extended by less than no bits",
            ),
            (
                r#"cidrsubnets("10.1.0.0/16",4,4,8,4)"#,
                r#"["10.1.0.0/20","10.1.16.0/20","10.1.32.0/24","10.1.48.0/20"]"#,
            ),
            (
                r#"cidrsubnets("10.1.0.0/16",1,1,1)"#,
                "! `10.1.0.0/16` has no room left for a prefix of 17 bits",
            ),
            (
                r#"cidrsubnets("10.1.0.0/16",8,1)"#,
                r#"["10.1.0.0/24","10.1.128.0/17"]"#,
            ),
            (
                r#"cidrsubnets("10.1.0.0/16",17)"#,
                "! A prefix of 33 bits is longer than the 32 of an address",
            ),
            (
                r#"cidrsubnets("fd00:fd12:3456:7890::/56",16,16,16,32)"#,
                r#"["fd00:fd12:3456:7800::/72","fd00:fd12:3456:7800:100::/72","fd00:fd12:3456:7800:200::/72","fd00:fd12:3456:7800:300::/88"]"#,
            ),
            (r#"cidrsubnets("10.0.0.0/8")"#, "[]"),
            (
                r#"cidrsubnets("10.0.0.0/8", 0)"#,
                "! A prefix has to be extended by at least one bit",
            ),
            (
                r#"cidrsubnets("10.0.0.0/8", 33)"#,
                "! A prefix is extended by at most 32 bits",
            ),
        ]);
    }
}
