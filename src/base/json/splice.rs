//! Replaces values within a JSON text, so that everything else stays as it is written.

use serde_json::value::RawValue;

/// Replacements of values in one text.
pub struct Splice<'t> {
    text: &'t str,
    /// Where each begins and ends, and what stands there instead.
    replaced: Vec<(usize, usize, String)>,
}

impl<'t> Splice<'t> {
    /// No replacement yet.
    pub fn new(text: &'t str) -> Self {
        Self { text, replaced: Vec::new() }
    }

    /// Replaces a value that was read from the text; it lies in no other that is replaced. Values
    /// are replaced in the order in which they stand. Nothing happens to a value of another text.
    pub fn replace(&mut self, value: &RawValue, with: String) {
        // Comparing the addresses of a text and of a slice of it needs no assumption: what is no
        // such slice is left alone.
        let start = (value.get().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let end = start.saturating_add(value.get().len());
        let is_next = self.replaced.last().is_none_or(|(_, before, _)| *before <= start);
        if is_next && self.text.get(start..end).is_some_and(|piece| piece == value.get()) {
            self.replaced.push((start, end, with));
        }
    }

    /// The text with everything replaced; none where nothing was.
    pub fn finish(self) -> Option<String> {
        if self.replaced.is_empty() {
            return None;
        }
        let (mut out, mut copied) = (String::new(), 0);
        for (start, end, with) in self.replaced {
            out.push_str(&self.text[copied..start]);
            out.push_str(&with);
            copied = end;
        }
        out.push_str(&self.text[copied..]);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_and_the_rest_stays_as_it_is_written() {
        let text = r#"[ {"a": 1.10}, "two" ,12345678901234567890123]"#;
        let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
        let mut splice = Splice::new(text);
        splice.replace(items[0], "null".to_owned());
        splice.replace(items[1], "{}".to_owned());
        // Out of order, and of another text.
        splice.replace(items[0], "1".to_owned());
        splice.replace(&RawValue::from_string("\"two\"".to_owned()).unwrap(), "2".to_owned());
        assert_eq!(splice.finish().as_deref(), Some("[ null, {} ,12345678901234567890123]"));
        assert_eq!(Splice::new(text).finish(), None);
    }
}
