//! Reads the XML of answers into a small tree.
//!
//! Prefixes of namespaces are passed over: versions of Windows choose them
//! differently, and no two names that matter here are the same. What a machine
//! sends is untrusted, so depth is limited.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const DEEPEST: usize = 64;

/// An element without its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    /// The root of a document; none when it is no XML.
    pub(super) fn parse(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) if open.len() <= DEEPEST => open.push(Self::new(&start)),
                Event::Start(_) => return None,
                Event::Empty(start) => open.last_mut()?.children.push(Self::new(&start)),
                Event::End(_) => {
                    let done = open.pop()?;
                    open.last_mut()?.children.push(done);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text),
                Event::CData(text) => open.last_mut()?.text.push_str(&text),
                Event::GeneralRef(name) => {
                    let entity = format!("&{};", &*name);
                    let text = quick_xml::escape::unescape(&entity).ok()?;
                    open.last_mut()?.text.push_str(&text);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let mut root = open.pop().filter(|_| open.is_empty())?;
        root.children.pop()
    }

    fn new(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().flatten().map(|attribute| {
            let value = quick_xml::escape::unescape(&attribute.value);
            let value = value.map_or_else(|_| attribute.value.to_string(), Into::into);
            (attribute.key.local_name().as_ref().to_owned(), value)
        });
        Self {
            name: start.local_name().as_ref().to_owned(),
            attributes: attributes.collect(),
            ..Self::default()
        }
    }

    /// Its own text, without that of elements inside.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The same with the blanks around it.
    pub(super) fn whole_text(&self) -> &str {
        &self.text
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first element of this name, at any depth.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// All elements of this name, in the order of the document.
    pub(super) fn find_all<'a>(&'a self, name: &str) -> Vec<&'a Self> {
        let own = (self.name == name).then_some(self);
        let inside = self.children.iter().flat_map(|child| child.find_all(name));
        own.into_iter().chain(inside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_text_and_attributes_are_found() {
        let text = "<?xml version=\"1.0\"?><s:A xmlns:s=\"x\"><b:B n=\"1 &amp; 2\">t &lt;\
                    &#65;</b:B><B/><C><B>inner</B></C></s:A>";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "A");
        assert_eq!(root.find("B").unwrap().text(), "t <A");
        assert_eq!(root.find("B").unwrap().attribute("n"), Some("1 & 2"));
        let all: Vec<_> = root.find_all("B").iter().map(|it| it.text()).collect();
        assert_eq!(all, ["t <A", "", "inner"]);
    }

    #[test]
    fn garbage_is_none() {
        let deep = "<a>".repeat(1000);
        for text in ["", "hello", "<a", "<a></b>", "<a>", deep.as_str()] {
            assert_eq!(Element::parse(text), None, "{text}");
        }
    }
}
