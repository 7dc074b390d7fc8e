//! What an instance learns about itself at `http://100.100.100.200`, for a
//! guest in QEMU. Its user-mode network runs a program for each connection; the
//! program is a shell script that answers with files.
//!
//! Enough for cloud-init's data source `AliYun`, which looks at the product's
//! name first. Source of facts: Alibaba Cloud's "Instance metadata" and QEMU's
//! `guestfwd`.

use std::io;
use std::path::Path;

use crate::machine::BootSpec;

/// The product that firmware names on ECS.
pub(crate) const PRODUCT: &str = "Alibaba Cloud ECS";

/// A network that the server's address is in, as QEMU forwards no other.
const NETWORK: &str = "100.100.100.0/24";
const SERVER: &str = "100.100.100.200:80";

/// Answers one request.
const SCRIPT: &str = include_str!("metadata.sh");

/// Writes the files into a directory and gives QEMU's options of a network
/// where they are served.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn serve(spec: &BootSpec, directory: &Path) -> io::Result<String> {
    let (script, root) = (directory.join("metadata.sh"), directory.join("metadata"));
    std::fs::write(&script, SCRIPT)?;
    write(spec, &root)?;
    let run = format!("sh {} {}", script.display(), root.display());
    Ok(format!(
        "user,id=net,net={NETWORK},guestfwd=tcp:{SERVER}-cmd:{run}"
    ))
}

fn write(spec: &BootSpec, root: &Path) -> io::Result<()> {
    let latest = root.join("latest");
    let about = latest.join("meta-data");
    std::fs::create_dir_all(&about)?;
    std::fs::write(about.join("instance-id"), &spec.instance_id)?;
    std::fs::write(about.join("hostname"), &spec.hostname)?;
    for (number, key) in spec.authorized_keys.iter().enumerate() {
        let place = about.join("public-keys").join(number.to_string());
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("openssh-key"), key)?;
    }
    if let Some(data) = &spec.user_data {
        std::fs::write(latest.join("user-data"), data)?;
    }
    std::os::unix::fs::symlink("latest", root.join("2016-01-01"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn spec() -> BootSpec {
        BootSpec {
            instance_id: "i-1".to_owned(),
            hostname: "web".to_owned(),
            authorized_keys: vec!["ssh-rsa AAAA pair".to_owned()],
            user_data: Some(b"#!/bin/sh\n\n".to_vec()),
            ..BootSpec::default()
        }
    }

    fn ask(directory: &Path, request: &str) -> String {
        let mut server = Command::new("sh")
            .arg(directory.join("metadata.sh"))
            .arg(directory.join("metadata"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut input = server.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        let output = server.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn files_and_directories_are_served() {
        let directory = tempfile::tempdir().unwrap();
        let options = serve(&spec(), directory.path()).unwrap();
        assert!(
            options.contains("guestfwd=tcp:100.100.100.200:80-cmd:sh "),
            "{options}"
        );
        let table = [
            (
                "GET /latest/meta-data/",
                "200 OK",
                "hostname\ninstance-id\npublic-keys/",
            ),
            ("GET /2016-01-01/meta-data/public-keys/", "200 OK", "0/"),
            (
                "GET /latest/meta-data/public-keys/0/openssh-key?x",
                "200 OK",
                "ssh-rsa AAAA pair",
            ),
            ("GET /latest/user-data", "200 OK", "#!/bin/sh\n\n"),
            ("GET /latest/no-such", "404 Not Found", ""),
            ("GET /../metadata.sh", "400 Bad Request", ""),
            ("PUT /latest/api/token", "405 Method Not Allowed", ""),
        ];
        for (request, status, body) in table {
            let length = body.len();
            let expected = format!(
                "HTTP/1.0 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            assert_eq!(ask(directory.path(), request), expected, "{request}");
        }
    }
}
