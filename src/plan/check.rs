//! What a single text must look like: Alibaba Cloud's naming rules and the
//! syntax of addresses, regions and accounts.
//!
//! Pure: each check says what is wrong with one value and what would be right.
//! Which option a check belongs to is decided where the option is decoded.
//! Source of facts: the parameter descriptions of the public ECS and VPC API.

use std::net::Ipv4Addr;

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Completes the sentence that begins with the option's name.
    pub what: String,
    /// What would be right, a full sentence.
    pub help: String,
}

/// A check of one text.
pub type Check = fn(&str) -> Result<(), Complaint>;

fn complain(what: impl Into<String>, help: impl Into<String>) -> Result<(), Complaint> {
    Err(Complaint {
        what: what.into(),
        help: help.into(),
    })
}

/// `image_name`: the rule of CreateImage, plus Packer's own.
pub fn image_name(text: &str) -> Result<(), Complaint> {
    no_blank(text)?;
    reserved_prefix(text)?;
    named(text, "Image names")
}

/// `target_image_family`: as an image's name.
pub fn image_family(text: &str) -> Result<(), Complaint> {
    no_blank(text)?;
    reserved_prefix(text)?;
    named(text, "Image families")
}

/// A key pair, a security group: 2–128 characters that begin with a letter.
pub fn resource_name(text: &str) -> Result<(), Complaint> {
    named(text, "Names")
}

/// An instance, a disk: 2–128 characters, any of the usual ones first.
pub fn instance_name(text: &str) -> Result<(), Complaint> {
    no_web_address(text)?;
    length(text, 2, 128)?;
    name_characters(text, "Names", "[],")
}

/// A VPC, a vSwitch: 1–128 characters.
pub fn network_name(text: &str) -> Result<(), Complaint> {
    no_web_address(text)?;
    length(text, 1, 128)
}

/// A description: 2–256 characters.
pub fn description(text: &str) -> Result<(), Complaint> {
    no_web_address(text)?;
    length(text, 2, 256)
}

/// An OSS bucket: 3–63 of lower-case letters, digits and hyphens.
pub fn bucket(text: &str) -> Result<(), Complaint> {
    length(text, 3, 63)?;
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let known = text.chars().all(|c| is_edge(c) || c == '-');
    if known && text.starts_with(is_edge) && text.ends_with(is_edge) {
        return Ok(());
    }
    complain(
        format!("is `{text}`, which no bucket can be called"),
        "Buckets have lower-case letters, digits and, between them, hyphens",
    )
}

/// An OSS object: up to 1023 bytes, and nothing that an HTTP client would
/// take for a path to be shortened.
pub fn object_key(text: &str) -> Result<(), Complaint> {
    const LONGEST: usize = 1023;
    if text.starts_with(['/', '\\']) {
        let first = &text[..1];
        return complain(
            format!("begins with `{first}`"),
            "Names of objects begin with anything else",
        );
    }
    if text.len() > LONGEST {
        let what = format!("has {} bytes", text.len());
        return complain(what, format!("Write at most {LONGEST}"));
    }
    if text.split('/').any(|part| matches!(part, "." | "..")) {
        return complain(
            "has a part `.` or `..`",
            "The name of an object is not a path; leave it out",
        );
    }
    Ok(())
}

/// `image_version`: 1–40 characters.
pub fn image_version(text: &str) -> Result<(), Complaint> {
    length(text, 1, 40)
}

/// An image or family that is looked up: no blanks around or inside.
pub fn no_blank(text: &str) -> Result<(), Complaint> {
    if text.chars().any(char::is_whitespace) {
        return complain(
            format!("contains a blank: `{text}`"),
            "Remove the blank; a time stamp without blanks is {{timestamp}}",
        );
    }
    Ok(())
}

/// A region's id.
pub fn region(text: &str) -> Result<(), Complaint> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(plain) || !text.contains('-') {
        return complain(
            format!("is not the id of a region: `{text}`"),
            "Region ids are lower-case, for example `cn-hangzhou` or `eu-central-1`",
        );
    }
    Ok(())
}

/// An Alibaba Cloud account's id.
pub fn account(text: &str) -> Result<(), Complaint> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_digit()) {
        return complain(
            format!("contains `{text}`, which is not an account id"),
            "Account ids are digits only (16 of them as a rule); they are shown in the console's \
             security settings",
        );
    }
    Ok(())
}

/// An IPv4 range.
pub fn cidr(text: &str) -> Result<(), Complaint> {
    match parse_cidr(text) {
        Some(_) => Ok(()),
        None => complain(
            format!("is not an IPv4 address range: `{text}`"),
            "Write an address and a prefix length, for example `203.0.113.0/24`",
        ),
    }
}

/// The range of a VPC: a prefix of 8 to 28 bits.
pub fn vpc_cidr(text: &str) -> Result<(), Complaint> {
    cidr(text)?;
    match parse_cidr(text) {
        Some((_, 8..=28)) | None => Ok(()),
        Some((_, bits)) => complain(
            format!("has a prefix of {bits} bits"),
            "A VPC takes 8 to 28 bits, for example `172.16.0.0/16`",
        ),
    }
}

fn parse_cidr(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
    Some((address.parse().ok()?, bits))
}

/// A tag's key.
pub fn tag_key(text: &str) -> Result<(), Complaint> {
    let help = "A tag's key has 1 to 128 characters, does not begin with `aliyun` or `acs:` and \
                contains neither `http://` nor `https://`";
    let reserved = ["aliyun", "acs:"].iter().any(|p| text.starts_with(p));
    match text.chars().count() {
        0 => complain("has an empty key", help),
        129.. => complain(
            format!("has a key of more than 128 characters: `{text}`"),
            help,
        ),
        _ if reserved || has_web_address(text) => {
            complain(format!("has a key that is not allowed: `{text}`"), help)
        }
        _ => Ok(()),
    }
}

/// A tag's value.
pub fn tag_value(text: &str) -> Result<(), Complaint> {
    let help = "A tag's value has at most 128 characters, does not begin with `acs:` and contains \
                neither `http://` nor `https://`";
    if text.chars().count() > 128 {
        return complain("has a value of more than 128 characters", help);
    }
    if text.starts_with("acs:") || has_web_address(text) {
        return complain(format!("has a value that is not allowed: `{text}`"), help);
    }
    Ok(())
}

/// A Linux device: `/dev/xvdb` and so on.
pub fn device(text: &str) -> Result<(), Complaint> {
    let tail = text.strip_prefix("/dev/").unwrap_or("");
    if tail.is_empty() || !tail.chars().all(|c| c.is_ascii_lowercase()) {
        return complain(
            format!("is not a device: `{text}`"),
            "Devices of data disks are `/dev/xvdb`, `/dev/xvdc` and so on",
        );
    }
    Ok(())
}

/// The password of an instance, as ECS wants it. The text is never repeated.
pub fn password(text: &str) -> Result<(), Complaint> {
    let classes: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_digit(),
        |c| c.is_ascii_punctuation(),
    ];
    let used = classes
        .iter()
        .filter(|class| text.contains(**class))
        .count();
    if !(8..=30).contains(&text.chars().count()) || used < 3 {
        return complain(
            "would be refused by ECS",
            "Passwords have 8 to 30 characters of at least three sorts: upper case, lower case, \
             digits, punctuation",
        );
    }
    Ok(())
}

fn named(text: &str, what: &str) -> Result<(), Complaint> {
    no_web_address(text)?;
    length(text, 2, 128)?;
    if !text.starts_with(char::is_alphabetic) {
        return complain(
            format!("does not begin with a letter: `{text}`"),
            format!("{what} begin with a letter"),
        );
    }
    name_characters(text, what, "")
}

fn name_characters(text: &str, what: &str, more: &str) -> Result<(), Complaint> {
    let allowed = |c: char| c.is_alphanumeric() || ":_.-".contains(c) || more.contains(c);
    match text.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(bad) => complain(
            format!("contains `{bad}`, which is not allowed: `{text}`"),
            format!("{what} consist of letters, digits, `:`, `_`, `.` and `-`"),
        ),
    }
}

fn length(text: &str, least: usize, most: usize) -> Result<(), Complaint> {
    let count = text.chars().count();
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let unit = if count == 1 {
        "character"
    } else {
        "characters"
    };
    complain(
        format!("has {count} {unit}"),
        format!("Use {least} to {most} characters"),
    )
}

fn reserved_prefix(text: &str) -> Result<(), Complaint> {
    for prefix in ["acs:", "aliyun"] {
        if text.starts_with(prefix) {
            return complain(
                format!("begins with `{prefix}`: `{text}`"),
                "This beginning is reserved for Alibaba Cloud's own images; choose another one",
            );
        }
    }
    Ok(())
}

fn no_web_address(text: &str) -> Result<(), Complaint> {
    for prefix in ["http://", "https://"] {
        if text.starts_with(prefix) {
            return complain(
                format!("begins with `{prefix}`"),
                "ECS refuses names and descriptions that look like a web address",
            );
        }
    }
    Ok(())
}

fn has_web_address(text: &str) -> bool {
    text.contains("http://") || text.contains("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_alibaba_cloud_accepts() {
        let long = "a".repeat(128);
        let accepted: &[(Check, &str)] = &[
            (image_name, "packer_basic"),
            (image_name, "web-2026-11-22T08:53:36Z"),
            (image_name, "镜像"),
            (image_name, &long),
            (image_family, "test_packer_basic"),
            (resource_name, "key.pair"),
            (instance_name, "1-web[01,3]"),
            (network_name, "v"),
            (description, "Two words"),
            (image_version, "1.0"),
            (region, "cn-hangzhou"),
            (region, "me-east-1"),
            (account, "1234567890123456"),
            (cidr, "0.0.0.0/0"),
            (vpc_cidr, "10.0.0.0/8"),
            (tag_key, "app"),
            (tag_value, ""),
            (device, "/dev/xvdb"),
            (password, "Test1234"),
        ];
        for (check, text) in accepted {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let long = "a".repeat(129);
        let refused: &[(Check, &str, &str)] = &[
            (image_name, "a", "has 1 character"),
            (image_name, &long, "has 129 characters"),
            (image_name, "", "has 0 characters"),
            (image_name, "my image", "contains a blank: `my image`"),
            (image_name, "http://x", "begins with `http://`"),
            (image_name, "acs:x", "begins with `acs:`: `acs:x`"),
            (image_name, "1web", "does not begin with a letter: `1web`"),
            (
                image_name,
                "a/b",
                "contains `/`, which is not allowed: `a/b`",
            ),
            (image_family, "aliyunx", "begins with `aliyun`: `aliyunx`"),
            (description, "https://x", "begins with `https://`"),
            (description, "x", "has 1 character"),
            (region, "Hangzhou", "is not the id of a region: `Hangzhou`"),
            (
                region,
                "cn hangzhou",
                "is not the id of a region: `cn hangzhou`",
            ),
            (account, "me", "contains `me`, which is not an account id"),
            (cidr, "10.0.0.0", "is not an IPv4 address range: `10.0.0.0`"),
            (
                cidr,
                "10.0.0.0/33",
                "is not an IPv4 address range: `10.0.0.0/33`",
            ),
            (vpc_cidr, "10.0.0.0/30", "has a prefix of 30 bits"),
            (tag_key, "", "has an empty key"),
            (tag_key, "acs:x", "has a key that is not allowed: `acs:x`"),
            (
                tag_value,
                "http://x",
                "has a value that is not allowed: `http://x`",
            ),
            (device, "xvdb", "is not a device: `xvdb`"),
            (password, "short", "would be refused by ECS"),
        ];
        for (check, text, what) in refused {
            assert_eq!(check(text).unwrap_err().what, *what, "{text}");
        }
    }
}
