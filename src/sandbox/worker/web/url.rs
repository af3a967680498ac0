//! URLs by the `url` crate, which implements the WHATWG standard.

use deno_core::{op2, v8};
use url::{Url, form_urlencoded, quirks};

/// Parses a URL relative to a base. Returns its parts in the order of `url.ts`; null if it is
/// invalid.
#[op2]
pub(super) fn op_web_url_parse<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] input: String,
    #[string] base: Option<String>,
) -> v8::Local<'s, v8::Value> {
    let base = base.map(|base| Url::parse(&base)).transpose();
    let parsed = base.and_then(|base| Url::options().base_url(base.as_ref()).parse(&input));
    match parsed {
        Ok(url) => parts(scope, &url),
        Err(_) => v8::null(scope).into(),
    }
}

/// Sets a part by its number in `url.ts`. Returns all parts. An invalid value leaves the URL
/// unchanged, except for `href`, for which the result is null.
#[op2]
pub(super) fn op_web_url_set<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] input: String,
    part: u32,
    #[string] value: String,
) -> v8::Local<'s, v8::Value> {
    let Ok(mut url) = Url::parse(&input) else { return v8::null(scope).into() };
    if part == 0 {
        match Url::parse(&value) {
            Ok(whole) => url = whole,
            Err(_) => return v8::null(scope).into(),
        }
    }
    set(&mut url, part, &value);
    parts(scope, &url)
}

/// Sets a part. An invalid value changes nothing, as the standard requires.
fn set(url: &mut Url, part: u32, value: &str) {
    let _ = match part {
        1 => quirks::set_protocol(url, value),
        2 => quirks::set_username(url, value),
        3 => quirks::set_password(url, value),
        4 => quirks::set_host(url, value),
        5 => quirks::set_hostname(url, value),
        6 => quirks::set_port(url, value),
        _ => Ok(()),
    };
    match part {
        7 => quirks::set_pathname(url, value),
        8 => quirks::set_search(url, value),
        9 => quirks::set_hash(url, value),
        _ => {}
    }
}

fn parts<'s>(scope: &mut v8::PinScope<'s, '_>, url: &Url) -> v8::Local<'s, v8::Value> {
    let origin = quirks::origin(url);
    let parts = [
        quirks::href(url),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
        &origin,
    ];
    strings(scope, parts)
}

/// Parses a query string. Returns alternating names and values.
#[op2]
pub(super) fn op_web_form_parse<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] query: String,
) -> v8::Local<'s, v8::Value> {
    let pairs: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .flat_map(|(name, value)| [name.into_owned(), value.into_owned()])
        .collect();
    strings(scope, pairs.iter().map(String::as_str))
}

/// Serialises alternating names and values to a query string.
#[op2]
#[string]
pub(super) fn op_web_form_serialize(
    scope: &mut v8::PinScope<'_, '_>,
    pairs: v8::Local<'_, v8::Array>,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for at in (0..pairs.length().saturating_sub(1)).step_by(2) {
        let string = |at| {
            pairs
                .get_index(scope, at)
                .map(|string| string.to_rust_string_lossy(scope))
                .unwrap_or_default()
        };
        let (name, value) = (string(at), string(at + 1));
        query.append_pair(&name, &value);
    }
    query.finish()
}

fn strings<'s, 't>(
    scope: &mut v8::PinScope<'s, '_>,
    strings: impl IntoIterator<Item = &'t str>,
) -> v8::Local<'s, v8::Value> {
    let mut items = Vec::new();
    for string in strings {
        match v8::String::new(scope, string) {
            Some(string) => items.push(string.into()),
            None => return v8::null(scope).into(),
        }
    }
    v8::Array::new_with_elements(scope, &items).into()
}
