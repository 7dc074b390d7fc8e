//! Answers as XML, the format of requests that do not ask for JSON.

use serde_json::Value;

/// Renders an object under a root element; arrays repeat their element.
pub(crate) fn render(root: &str, body: &Value) -> String {
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>");
    element(&mut out, root, body);
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    if let Value::Array(items) = value {
        items.iter().for_each(|item| element(out, name, item));
        return;
    }
    out.push_str(&format!("<{name}>"));
    match value {
        Value::Object(members) => members.iter().for_each(|(n, v)| element(out, n, v)),
        Value::String(text) => out.push_str(&escape(text)),
        Value::Null => {}
        other => out.push_str(&other.to_string()),
    }
    out.push_str(&format!("</{name}>"));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrays_repeat_and_text_is_escaped() {
        let body = json!({"Code": "A&B", "Ids": {"Id": ["1", "2"]}, "N": 3});
        assert_eq!(
            render("Error", &body),
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>A&amp;B</Code><Ids><Id>1</Id><Id>2</Id></Ids><N>3</N></Error>"
        );
    }
}
