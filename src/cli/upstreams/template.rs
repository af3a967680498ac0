//! Values with variables in them, in the ways in which MCP clients write them. Reads no file and no
//! secret.

use std::collections::BTreeMap;

use crate::config::unexpanded;

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it is.
    Text(String),
    /// An environment variable of the server.
    Variable(String),
    /// A secret of the secret store.
    Secret(String),
    /// The content of a file.
    File(String),
}

/// A value in pieces, no two texts beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Template(pub(super) Vec<Piece>);

/// What the variables of the clients mean.
pub(super) struct Syntax<'s> {
    /// Variables of the client, such as `workspaceFolder`.
    pub(super) known: BTreeMap<&'static str, String>,
    /// Inputs that the client would ask for, and that have a default.
    pub(super) inputs: BTreeMap<String, String>,
    /// Environment, for defaults.
    pub(super) environment: &'s BTreeMap<String, String>,
    /// `$NAME` is a variable too.
    pub(super) bare: bool,
    /// `$$` before a brace is a `$`, as in the configuration.
    pub(super) doubled: bool,
}

impl Template {
    /// A text without variables.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())]).joined()
    }

    /// The text, if there are no variables in it.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns true if it is one text, or refers to one value and nothing else.
    pub(super) fn is_whole(&self) -> bool {
        self.0.len() < 2
    }

    /// The texts in it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The texts, with this mark for each of the others.
    pub(super) fn marked(&self, mark: char) -> String {
        let of = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            _ => mark.to_string(),
        };
        self.0.iter().map(of).collect()
    }

    /// The value with the variables of this environment; none if one is not set, or if it refers to
    /// a secret or a file.
    pub(super) fn expanded(&self, environment: &BTreeMap<String, String>) -> Option<String> {
        let of = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Variable(name) => environment.get(name).cloned(),
            Piece::Secret(_) | Piece::File(_) => None,
        };
        self.0.iter().map(of).collect()
    }

    /// The value as the configuration writes it, with `${NAME}` for variables; none if it refers
    /// to a secret or a file, which only a value of their own can.
    pub(super) fn written(&self) -> Option<String> {
        let next = self.0.iter().skip(1).map(Some).chain([None]);
        let is_variable = |piece: Option<&Piece>| matches!(piece, Some(Piece::Variable(_)));
        self.0
            .iter()
            .zip(next)
            .map(|(piece, next)| match piece {
                Piece::Text(text) => Some(unexpanded(text, is_variable(next))),
                Piece::Variable(name) => Some(format!("${{{name}}}")),
                Piece::Secret(_) | Piece::File(_) => None,
            })
            .collect()
    }

    /// The value for display, without what its texts hold after `from` bytes of the first.
    pub(super) fn without_prefix(&self, prefix: &str) -> Option<Self> {
        let (first, rest) = self.0.split_first()?;
        let Piece::Text(text) = first else { return None };
        let text = text.strip_prefix(prefix)?.trim_start();
        let first = (!text.is_empty()).then(|| Piece::Text(text.to_owned()));
        Some(Self(first.into_iter().chain(rest.iter().cloned()).collect()))
    }

    /// With texts beside each other as one.
    pub(super) fn joined(self) -> Self {
        let mut pieces: Vec<Piece> = vec![];
        for piece in self.0 {
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, Piece::Text(text)) if text.is_empty() => {}
                (_, piece) => pieces.push(piece),
            }
        }
        Self(pieces)
    }

    /// Reads a value. The error is the reference that Airlock has no counterpart of.
    pub(super) fn read(text: &str, syntax: &Syntax<'_>) -> Result<Self, String> {
        let mut pieces = vec![];
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            pieces.push(Piece::Text(before.to_owned()));
            // Double braces enclose single ones.
            let (piece, length) = if syntax.is_doubled(from) {
                (Piece::Text("$".into()), 2)
            } else if let Some(inner) = from.strip_prefix("${{") {
                match inner.find("}}") {
                    Some(end) => (of_continue(inner[..end].trim())?, end + 5),
                    None => (Piece::Text("$".into()), 1),
                }
            } else if let Some(inner) = from.strip_prefix("${") {
                match inner.find('}') {
                    Some(end) => (syntax.reference(&inner[..end])?, end + 3),
                    None => (Piece::Text("$".into()), 1),
                }
            } else {
                syntax.bare_reference(&from[1..])
            };
            pieces.push(piece);
            rest = &from[length..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces).joined())
    }
}

impl Syntax<'_> {
    /// Returns true if the text begins with a `$` that is written twice.
    fn is_doubled(&self, text: &str) -> bool {
        let rest = text.trim_start_matches('$');
        self.doubled && text.len() - rest.len() > 1 && rest.starts_with('{')
    }

    /// A reference between braces.
    fn reference(&self, inner: &str) -> Result<Piece, String> {
        let unknown = || format!("${{{inner}}}");
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        match (name.split_once(':'), default) {
            (Some(("input", id)), None) => Ok(match self.inputs.get(id) {
                Some(default) => Piece::Text(default.clone()),
                None => Piece::Secret(secret_name(id)),
            }),
            (Some(("secret", name)), None) => Ok(Piece::Secret(secret_name(name))),
            (Some(("file", path)), None) => Ok(Piece::File(path.to_owned())),
            (Some(_), _) => Err(unknown()),
            (None, _) if self.known.contains_key(name) => Ok(Piece::Text(self.known[name].clone())),
            (None, _) if !is_variable(name) => Err(unknown()),
            (None, Some(default)) if !self.environment.contains_key(name) => {
                Ok(Piece::Text(default.to_owned()))
            }
            (None, _) => Ok(Piece::Variable(name.to_owned())),
        }
    }

    /// A reference without braces, and its length with the `$`.
    fn bare_reference(&self, rest: &str) -> (Piece, usize) {
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        match self.bare && is_variable(&name) {
            true => (Piece::Variable(name.clone()), name.len() + 1),
            false => (Piece::Text("$".into()), 1),
        }
    }
}

/// `${{ secrets.NAME }}` of Continue.
fn of_continue(inner: &str) -> Result<Piece, String> {
    match inner.split_once('.') {
        Some(("secrets" | "inputs", name)) => Ok(Piece::Secret(secret_name(name))),
        _ => Err(format!("${{{{ {inner} }}}}")),
    }
}

/// A name as the secret store allows it.
pub(super) fn secret_name(text: &str) -> String {
    let name: String = text
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' })
        .take(100)
        .collect();
    if name.is_empty() { "secret".to_owned() } else { name }
}

/// Returns true for the name of an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Template, String> {
        read_as(text, false)
    }

    fn read_as(text: &str, doubled: bool) -> Result<Template, String> {
        let environment = BTreeMap::from([("HERE".to_owned(), "x".to_owned())]);
        let known = BTreeMap::from([("workspaceFolder", "/work".to_owned())]);
        let inputs = BTreeMap::from([("level".to_owned(), "info".to_owned())]);
        let environment = &environment;
        Template::read(text, &Syntax { known, inputs, environment, bare: true, doubled })
    }

    #[test]
    fn the_variables_of_all_clients_are_understood() {
        let variable = |name: &str| Piece::Variable(name.to_owned());
        let text = |text: &str| Piece::Text(text.to_owned());
        let secret = |name: &str| Piece::Secret(name.to_owned());
        for (written, pieces) in [
            ("plain", vec![text("plain")]),
            ("", vec![]),
            ("${NAME}", vec![variable("NAME")]),
            ("$NAME", vec![variable("NAME")]),
            ("${env:NAME}", vec![variable("NAME")]),
            ("Bearer ${env:NAME}!", vec![text("Bearer "), variable("NAME"), text("!")]),
            ("${HERE:-else}", vec![variable("HERE")]),
            ("${THERE:-else}", vec![text("else")]),
            ("a${THERE:-}b", vec![text("ab")]),
            ("${input:my key}", vec![secret("my_key")]),
            ("${input:level}", vec![text("info")]),
            ("${secret:KEY}", vec![secret("KEY")]),
            ("${{ secrets.KEY }}", vec![secret("KEY")]),
            ("${workspaceFolder}/x", vec![text("/work/x")]),
            ("${file:/run/key}", vec![Piece::File("/run/key".to_owned())]),
            ("5$ and ${open", vec![text("5$ and ${open")]),
        ] {
            assert_eq!(read(written), Ok(Template(pieces)), "{written}");
        }
        for unknown in ["${command:x}", "${config:a.b}", "${{ github.token }}", "${a b}"] {
            assert_eq!(read(unknown), Err(unknown.to_owned()));
        }
        assert_eq!(read("${input:x}").unwrap().written(), None);
    }

    #[test]
    fn a_dollar_before_a_brace_stays_one_in_both_directions() {
        for (read_of, written) in [
            ("a ${NAME} $${", "a ${NAME} $$$${"),
            ("5$${NAME}", "5$$${NAME}"),
            ("$$${NAME}$", "$$$$${NAME}$"),
            ("${A}$${B}", "${A}$$${B}"),
            ("${A}{}${B}", "${A}{}${B}"),
            ("${open", "$${open"),
            ("5$ and $$", "5$ and $$"),
        ] {
            let template = read(read_of).unwrap();
            assert_eq!(template.written().as_deref(), Some(written), "{read_of}");
            // What is written is read again as the same, where the dollars count as they do there.
            assert_eq!(read_as(written, true), Ok(template), "{written}");
        }
        assert_eq!(read_as("$${NAME}", true), Ok(Template::text("${NAME}")));
    }
}
