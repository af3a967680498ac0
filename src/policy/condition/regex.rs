//! Regular expressions of conditions.

use regex::Regex;

/// Longest pattern, in bytes.
const REGEX_BYTES_MAX: usize = 1024;
/// Largest compiled pattern, in bytes.
const REGEX_SIZE_MAX: usize = 256 * 1024;

/// Compiles a pattern. A search takes time linear in the length of the string.
pub(super) fn compile_regex(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > REGEX_BYTES_MAX {
        return Err(format!(
            "the pattern is {} bytes; the limit is {REGEX_BYTES_MAX}",
            pattern.len()
        ));
    }
    let built = regex::RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_MAX)
        .dfa_size_limit(REGEX_SIZE_MAX)
        .nest_limit(64)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("the compiled pattern is larger than {REGEX_SIZE_MAX} bytes")
        }
        _ => "the pattern does not compile".into(),
    })
}
