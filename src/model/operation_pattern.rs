//! A pattern for operations of a service, by their path, their method and path, or the name of
//! their tool.

use std::str::FromStr;

use glob::{MatchOptions, Pattern};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 500;
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// `/users/**`, `GET /users/*` or `issues.*`: `*` stands for what is within one segment of a path,
/// `**` for any number of segments, in a name `*` for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationPattern {
    text: String,
    method: Option<&'static str>,
    is_path: bool,
    pattern: Pattern,
}

/// A text that is no pattern of operations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a pattern of operations; allowed: a path such as `/users/**`, a method and a path such \
    as `GET /users/*`, or the name of a tool such as `issues.*`, at most {PATTERN_BYTES_MAX} bytes"
)]
pub struct InvalidPattern;

impl FromStr for OperationPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let trimmed = text.trim();
        let (method, rest) = match trimmed.split_once(char::is_whitespace) {
            None => (None, trimmed),
            Some((method, path)) => {
                let known = METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method));
                (Some(known.ok_or(InvalidPattern)?), path.trim())
            }
        };
        let is_path = rest.starts_with('/');
        let is_name = method.is_none() && !rest.is_empty() && !rest.contains([' ', '/']);
        if !is_path && !is_name || text.len() > PATTERN_BYTES_MAX {
            return Err(InvalidPattern);
        }
        let pattern = Pattern::new(rest).map_err(|_| InvalidPattern)?;
        Ok(Self { text: text.to_owned(), method, is_path, pattern })
    }
}

impl OperationPattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text in front of the first sign that stands for others, if it is a pattern of names.
    pub fn literal_name(&self) -> Option<&str> {
        let text = self.pattern.as_str();
        let literal = text.split(['*', '?', '[']).next().unwrap_or_default();
        (!self.is_path).then_some(literal)
    }

    /// Returns true if it means the operation with this method, path and name of a tool.
    pub fn matches(&self, method: &str, path: &str, name: &str) -> bool {
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: self.is_path,
            require_literal_leading_dot: false,
        };
        if !self.is_path {
            return self.pattern.matches_with(name, options);
        }
        let is_method = self.method.is_none_or(|own| own.eq_ignore_ascii_case(method));
        // Below a path is the path itself, too.
        let is_itself = || {
            let above = self.pattern.as_str().strip_suffix("/**");
            let above = above.and_then(|above| Pattern::new(above).ok());
            above.is_some_and(|above| above.matches_with(path, options))
        };
        is_method && (self.pattern.matches_with(path, options) || is_itself())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, operation: &str) -> bool {
        let (method, rest) = operation.split_once(' ').unwrap();
        let (path, name) = rest.split_once(' ').unwrap();
        pattern.parse::<OperationPattern>().unwrap().matches(method, path, name)
    }

    #[test]
    fn a_pattern_means_paths_methods_or_names() {
        let operation = "get /users/{id}/mails users.listMails";
        for good in [
            "/users/**",
            "/users/*/mails",
            "/**",
            "/**/mails",
            "GET /users/**",
            "get /users/**",
            "users.*",
            "users.listMails",
            "*Mails",
            "/users/{id}/**",
            "/users/{id}/mails/**",
        ] {
            assert!(matches(good, operation), "{good}");
        }
        for bad in
            ["/users", "/users/*", "/Users/**", "POST /users/**", "user.*", "users", "/users/**/x"]
        {
            assert!(!matches(bad, operation), "{bad}");
        }
        assert!(matches("/users/**", "get /users users.list"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", " ", "FETCH /x", "a b", "users/x", "/a/[", "GET users.*", &"/x".repeat(400)]
        {
            assert_eq!(bad.parse::<OperationPattern>(), Err(InvalidPattern), "{bad:?}");
        }
    }
}
