//! Functions of networks: addresses, masks and subnets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::value::Value;
use super::signature::{Arguments, Function, Parameter};
use super::{FunctionError, Outcome};

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
            FunctionError::at(0, format!("`{text}` is no network"))
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
