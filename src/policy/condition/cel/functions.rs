//! Functions of expressions beyond the standard ones: `json`, `base64`, `cidr`, and `matches` with
//! patterns that are compiled when the policy is loaded.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelString, STRING_TYPE},
        value::CowVal,
    },
};
use dashmap::DashMap;
use regex::Regex;

use super::{equality, value::owned_to_cel};
use crate::policy::{args, condition::regex::compile_regex};

/// Internal name of `matches`. The check at load replaces calls of `matches` by it.
pub(super) const MATCHES: &str = "airlock_matches";
/// Most patterns that are kept compiled; further ones are compiled at each use.
const PATTERNS_MAX: usize = 4096;

/// Standard functions of CEL and our own.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    let declared = env
        .add_overload("json", "json_string", vec![STRING_TYPE], json)
        .and_then(|()| env.add_overload("base64", "base64_string", vec![STRING_TYPE], base64))
        .and_then(|()| {
            env.add_overload("cidr", "cidr_string_string", vec![STRING_TYPE, STRING_TYPE], cidr)
        })
        .and_then(|()| {
            env.add_overload(
                MATCHES,
                "airlock_matches_string_string",
                vec![STRING_TYPE, STRING_TYPE],
                matches,
            )
        })
        .and_then(|()| equality::declare(&mut env));
    declared.expect("no other overload has these names");
    Arc::new(env)
});

static PATTERNS: LazyLock<DashMap<String, Regex>> = LazyLock::new(DashMap::new);

/// Compiles a pattern of `matches` and keeps it for the evaluation.
pub(super) fn prepare_pattern(pattern: &str) -> Result<(), String> {
    let regex = compile_regex(pattern)?;
    if PATTERNS.len() < PATTERNS_MAX {
        PATTERNS.insert(pattern.to_owned(), regex);
    }
    Ok(())
}

/// Returns a string argument.
fn string_arg<'c>(
    function: &str,
    arguments: &'c [CowVal<'_, '_>],
    index: usize,
) -> Result<&'c str, ExecutionError> {
    let string = arguments.get(index).and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    string
        .map(|string| string.inner())
        .ok_or_else(|| ExecutionError::function_error(function, "takes strings"))
}

/// `json(STRING)`: parses JSON; a duplicate key is an error.
fn json<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args::json(string_arg("json", &arguments, 0)?)
        .map_err(|error| ExecutionError::function_error("json", error))?;
    Ok(CowVal::Owned(owned_to_cel(value)))
}

/// `base64(STRING)`: decodes base64 to a string, with or without padding, in either alphabet.
fn base64<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    use base64::{
        alphabet,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let failed = |reason: &str| ExecutionError::function_error("base64", reason);
    let encoded = string_arg("base64", &arguments, 0)?;
    let alphabet =
        if encoded.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    let bytes = GeneralPurpose::new(&alphabet, LENIENT)
        .decode(encoded)
        .map_err(|_| failed("is not base64"))?;
    let decoded = String::from_utf8(bytes).map_err(|_| failed("does not hold UTF-8"))?;
    Ok(CowVal::owned(CelString::from(decoded)))
}

/// `cidr(ADDRESS, NETWORK)`: tests if the network contains the address. An IPv4-mapped IPv6 address
/// counts as an IPv4 address.
fn cidr<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let failed = |reason: &str| ExecutionError::function_error("cidr", reason);
    let address: std::net::IpAddr =
        string_arg("cidr", &arguments, 0)?.parse().map_err(|_| failed("not an IP address"))?;
    let network: ipnet::IpNet =
        string_arg("cidr", &arguments, 1)?.parse().map_err(|_| failed("not a network"))?;
    Ok(CowVal::owned(CelBool::from(network.contains(&address.to_canonical()))))
}

/// `STRING.matches(PATTERN)`, with a pattern that was compiled at load.
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (subject, pattern) =
        (string_arg("matches", &arguments, 0)?, string_arg("matches", &arguments, 1)?);
    let found = match PATTERNS.get(pattern) {
        Some(regex) => regex.is_match(subject),
        None => compile_regex(pattern)
            .map_err(|error| ExecutionError::function_error("matches", error))?
            .is_match(subject),
    };
    Ok(CowVal::owned(CelBool::from(found)))
}
