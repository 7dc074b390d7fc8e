//! `for` expressions, and what goes over a collection.

use std::collections::BTreeMap;

use hcl_edit::expr::{Expression, ForExpr};

use super::Evaluator;
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::value::{Type, Value};

impl Evaluator<'_> {
    pub(super) fn for_expression(&mut self, each: &ForExpr) -> Option<Value> {
        let intro = &each.intro;
        let key = intro.key_var.as_ref().map(|name| name.as_str());
        let mut results = Vec::new();
        let mut is_broken = false;
        for (at, item) in self.items(&intro.collection_expr)? {
            let bound = self.bind_item(key, intro.value_var.as_str(), at, item);
            match self.for_item(each) {
                Some(Some(result)) => results.push(result),
                Some(None) => {}
                None => is_broken = true,
            }
            self.unbind(bound);
            // The same error for every element helps nobody.
            if is_broken {
                return None;
            }
        }
        match &each.key_expr {
            None => {
                let values = results.into_iter().map(|(_, value)| value);
                Some(Value::List(values.collect()))
            }
            Some(_) if each.grouping => Some(grouped(results)),
            Some(key) => self.keyed(results, key),
        }
    }

    /// Key and value of an element; nothing inside when the condition leaves
    /// it out.
    #[expect(clippy::option_option, reason = "wrong is not left out")]
    fn for_item(&mut self, each: &ForExpr) -> Option<Option<(String, Value)>> {
        if let Some(condition) = &each.cond
            && !self.decision(&condition.expr, "The condition")?
        {
            return Some(None);
        }
        let key = match &each.key_expr {
            None => String::new(),
            Some(key) => match self.typed(key, &Type::String)? {
                Value::String(text) => text,
                Value::Unknown(_) => return self.too_late(self.span(key)),
                _ => {
                    let span = self.span(key);
                    return self.report(Diagnostic::error("A key must not be null", span));
                }
            },
        };
        Some(Some((key, self.value(&each.value_expr)?)))
    }

    fn keyed(&mut self, results: Vec<(String, Value)>, key: &Expression) -> Option<Value> {
        let mut object = BTreeMap::new();
        for (name, value) in results {
            if object.contains_key(&name) {
                let message = format!("Two elements have the key `{name}`");
                let help = "Write `...` behind the value to collect them in lists";
                let span = self.span(key);
                return self.report(Diagnostic::error(message, span).help(help));
            }
            object.insert(name, value);
        }
        Some(Value::Object(object))
    }

    /// The elements of a collection with their indexes or keys.
    pub(in crate::template::hcl) fn items(
        &mut self,
        collection: &Expression,
    ) -> Option<Vec<(Value, Value)>> {
        let span = self.span(collection);
        match self.value(collection)? {
            Value::List(items) => {
                let numbered = items.into_iter().enumerate();
                Some(numbered.map(|(at, item)| (Value::from(at), item)).collect())
            }
            Value::Object(entries) => {
                let entries = entries.into_iter();
                Some(entries.map(|(key, value)| (key.into(), value)).collect())
            }
            Value::Unknown(_) => self.too_late(span),
            other => {
                let message = format!(
                    "This must be a list or an object to go over, but it is {}",
                    other.shape()
                );
                self.report(Diagnostic::error(message, span))
            }
        }
    }

    /// Binds an element's names; gives how many.
    pub(super) fn bind_item(
        &mut self,
        key: Option<&str>,
        name: &str,
        at: Value,
        item: Value,
    ) -> usize {
        if let Some(key) = key {
            self.bind(key, at);
        }
        self.bind(name, item);
        usize::from(key.is_some()) + 1
    }
}

fn grouped(results: Vec<(String, Value)>) -> Value {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (key, value) in results {
        groups.entry(key).or_default().push(value);
    }
    let lists = groups
        .into_iter()
        .map(|(key, list)| (key, Value::List(list)));
    Value::Object(lists.collect())
}
