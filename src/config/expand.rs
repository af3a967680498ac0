//! Expansion of `${NAME}` and `~/` in the texts of upstreams, as shells and other MCP clients do
//! it, so that neither is ever sent as it is written. Only where the documentation of a key says
//! so.

use std::path::PathBuf;

use super::{resolve::Resolver, resolved::UnsetVariable};

/// Returns true if the text refers to a variable.
pub(super) fn has_variable(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, is_reference, after)) = before_brace(rest) {
        if is_reference {
            return true;
        }
        rest = after;
    }
    false
}

/// What a text is before its first `${`, whether a reference begins there, and the rest from the
/// brace on. Before a brace `$$` stands for `$`, so that every text can be written: `$${` is `${`,
/// and `$$${NAME}` is a `$` and a variable.
fn before_brace(text: &str) -> Option<(String, bool, &str)> {
    let (before, rest) = text.split_at(text.find("${")? + 1);
    let plain = before.trim_end_matches('$');
    let dollars = before.len() - plain.len();
    Some((format!("{plain}{}", "$".repeat(dollars / 2)), dollars % 2 == 1, rest))
}

/// Returns the string of the configuration that is expanded to this text. `is_before_variable`: a
/// `${NAME}` is written right after it.
pub fn unexpanded(text: &str, is_before_variable: bool) -> String {
    let mut written = String::with_capacity(text.len());
    let mut dollars = 0;
    let after = is_before_variable.then_some('{');
    for c in text.chars().map(Some).chain([None]) {
        // Dollars are doubled where a brace comes after them.
        if c.or(after) == Some('{') {
            written.push_str(&"$".repeat(dollars));
        }
        dollars = if c == Some('$') { dollars + 1 } else { 0 };
        written.extend(c);
    }
    written
}

/// The name of the variable that the text refers to and that is all of it, as shells and other MCP
/// clients write it: `${NAME}`, `$NAME`, `${env:NAME}`, also behind `Bearer`.
pub(super) fn variable_alone(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let name = name.strip_prefix("env:").unwrap_or(name);
    is_name(name).then_some(name)
}

/// The name of the variable that a text refers to as other programs do, and that is not expanded
/// here: `$NAME`, `%NAME%`, `{{NAME}}`, `{env:NAME}`, also behind a word such as `Bearer`.
pub(super) fn foreign_variable(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some(inner) = text.strip_suffix("}}") {
        let (before, name) = inner.rsplit_once("{{")?;
        let name = name.trim();
        let name = name.strip_prefix("env.").or(name.strip_prefix("secrets.")).unwrap_or(name);
        let is_alone = before.is_empty() || before.ends_with(char::is_whitespace);
        return (is_alone && is_name(name)).then_some(name);
    }
    let word = text.rsplit(char::is_whitespace).next()?;
    let between = |begin: &str, end: &str| word.strip_prefix(begin)?.strip_suffix(end);
    let name = between("%", "%")
        .or_else(|| between("{env:", "}"))
        .or_else(|| word.strip_prefix("$env:"))
        .or_else(|| word.strip_prefix('$'))?;
    // In small letters it may be a password.
    (is_name(name) && !name.contains(|c: char| c.is_ascii_lowercase())).then_some(name)
}

impl Resolver<'_> {
    /// Refuses a reference to a variable that would be sent as it is written.
    fn refuse_foreign(&mut self, at: &[&str], text: &str) {
        let Some(name) = foreign_variable(text) else { return };
        let message = format!(
            "`{}` refers to a variable in a way that is not expanded here; write `${{{name}}}`; to \
            send the text as it is, keep it in a variable of its own and refer to that",
            at.join(".")
        );
        self.report(at, message);
    }

    /// Replaces `${NAME}` by the environment variable; before a brace `$$` stands for `$`. A
    /// variable that is not set concerns the upstream at the path alone; anything else in the
    /// braces is a problem.
    pub(super) fn expanded(&mut self, at: &[&str], text: &str) -> String {
        self.refuse_foreign(at, text);
        self.replaced(at, text, Self::variable)
    }

    fn replaced(
        &mut self,
        at: &[&str],
        text: &str,
        variable: impl Fn(&mut Self, &[&str], &str) -> String,
    ) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, is_reference, after)) = before_brace(rest) {
            out.push_str(&before);
            rest = after;
            if is_reference {
                match after[1..].split_once('}') {
                    Some((name, after)) => {
                        out.push_str(&variable(self, at, name));
                        rest = after;
                    }
                    // Braces that stay open are no reference.
                    None => out.push('$'),
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// The value of a variable; empty if it is not set.
    fn variable(&mut self, at: &[&str], name: &str) -> String {
        if !is_name(name) {
            let message = format!(
                "`{}` contains `${{{name}}}`, which is not a reference to an environment variable; \
                allowed: `${{NAME}}`, or `$${{` for a literal `${{`",
                at.join(".")
            );
            self.report(at, message);
            return String::new();
        }
        let value = self.variables.get(name).cloned();
        if value.is_none() {
            self.note_unset(at, name);
        }
        value.unwrap_or_default()
    }

    /// Notes that the upstream at the path needs a variable that is not set.
    pub(super) fn note_unset(&mut self, at: &[&str], variable: &str) {
        let whole: Vec<String> = at.iter().map(|&key| key.to_owned()).collect();
        self.unset.push(UnsetVariable {
            // Behind `upstreams` and its name.
            key: at[at.len().min(2)..].join("."),
            variable: variable.to_owned(),
            origin: self.layers.origin(&whole),
        });
    }

    /// The path with a leading `~/` replaced by the user's home folder, if that is known.
    pub(super) fn in_home(&self, path: &str) -> PathBuf {
        let home = self.variables.get("HOME").filter(|home| !home.is_empty());
        match (path.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => PathBuf::from(home).join(below),
            _ if path == "~" => home.map_or_else(|| path.into(), PathBuf::from),
            _ => path.into(),
        }
    }

    /// A command or an argument, expanded like a word in a shell. Arguments can be scripts, which
    /// have variables of their own: what no variable of the server explains stays as it is, unless
    /// the argument is a single word.
    pub(super) fn word(&mut self, at: &[&str], text: &str) -> String {
        let is_word = !text.contains(char::is_whitespace);
        if is_word {
            self.refuse_foreign(at, text);
        }
        let expanded = self.replaced(at, text, |resolver, at, name| {
            if sounds_secret(name) && resolver.variables.contains_key(name) {
                let message = format!(
                    "`{}` contains `${{{name}}}`, which sounds like a secret: arguments are shown \
                    to other processes and in lists; pass it in `env` instead",
                    at.join(".")
                );
                resolver.report(at, message);
                return String::new();
            }
            match resolver.variables.get(name).filter(|_| is_name(name)) {
                Some(value) => value.clone(),
                None if is_word && is_name(name) => resolver.variable(at, name),
                None => format!("${{{name}}}"),
            }
        });
        match text.starts_with('~') {
            true => self.in_home(&expanded).to_string_lossy().into_owned(),
            false => expanded,
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns true if the name of a variable suggests that it holds a secret, so that it may not stand
/// in an argument.
pub fn sounds_secret(name: &str) -> bool {
    const PARTS: [&str; 7] = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH", "KEY"];
    let name = name.to_ascii_uppercase();
    name.split('_').any(|part| PARTS.iter().any(|secret| part.ends_with(secret)))
}

#[cfg(test)]
mod tests {
    use super::foreign_variable;

    #[test]
    fn references_of_other_programs_are_recognised_and_other_texts_are_not() {
        for text in [
            "$KEY",
            "%KEY%",
            "{{KEY}}",
            "{{ KEY }}",
            "{{env.KEY}}",
            "Bearer $KEY",
            "token {{ secrets.KEY }}",
            "$env:KEY",
            "{env:KEY}",
        ] {
            assert_eq!(foreign_variable(text), Some("KEY"), "{text}");
        }
        for text in [
            "${KEY}",
            "$${KEY}",
            "$ecret",
            "$",
            "100%",
            "%",
            "a$KEY",
            "{KEY}",
            "x{{KEY}}",
            "{{}}",
            "$KEY and more",
            "Pa$$W0RD",
            "",
        ] {
            assert_eq!(foreign_variable(text), None, "{text}");
        }
    }
}
