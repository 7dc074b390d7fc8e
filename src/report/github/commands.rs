//! The form of a workflow command: `::name key=value,key=value::data`.

/// A command with everything escaped. Properties without a value are left out.
pub(super) fn command(name: &str, properties: &[(&str, String)], data: &str) -> String {
    let properties: Vec<_> = properties
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={}", escape_property(value)))
        .collect();
    let space = if properties.is_empty() { "" } else { " " };
    format!(
        "::{name}{space}{}::{}",
        properties.join(","),
        escape_data(data)
    )
}

fn escape_data(data: &str) -> String {
    data.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(value: &str) -> String {
    escape_data(value).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_escaped() {
        let properties = [
            ("file", "a,b:c%.json".to_owned()),
            ("line", "3".to_owned()),
            ("col", String::new()),
        ];
        assert_eq!(
            command("error", &properties, "100%\r\nno: yes, ::error::"),
            "::error file=a%2Cb%3Ac%25.json,line=3::100%25%0D%0Ano: yes, ::error::"
        );
        assert_eq!(command("endgroup", &[], ""), "::endgroup::");
    }
}
