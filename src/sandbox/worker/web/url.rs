//! Addresses by the `url` crate, which keeps to the standard of browsers.

use deno_core::{op2, v8};
use url::{Url, form_urlencoded, quirks};

/// The parts of an address relative to a base, in the order of `url.ts`; null when there is none.
#[op2]
pub(super) fn op_web_url_parse<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] address: String,
    #[string] base: Option<String>,
) -> v8::Local<'s, v8::Value> {
    let base = base.map(|base| Url::parse(&base)).transpose();
    let parsed = base.and_then(|base| Url::options().base_url(base.as_ref()).parse(&address));
    match parsed {
        Ok(url) => parts(scope, &url),
        Err(_) => v8::null(scope).into(),
    }
}

/// The parts after one of them was set, by its number in `url.ts`. What cannot be set leaves the
/// address as it was; null when a new `href` is no address.
#[op2]
pub(super) fn op_web_url_set<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] address: String,
    part: u32,
    #[string] value: String,
) -> v8::Local<'s, v8::Value> {
    let Ok(mut url) = Url::parse(&address) else { return v8::null(scope).into() };
    if part == 0 {
        match Url::parse(&value) {
            Ok(whole) => url = whole,
            Err(_) => return v8::null(scope).into(),
        }
    }
    set(&mut url, part, &value);
    parts(scope, &url)
}

/// A refused value changes nothing, which is what the standard asks for.
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
    texts(scope, parts)
}

/// Names and values in turn of a query string.
#[op2]
pub(super) fn op_web_form_parse<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] query: String,
) -> v8::Local<'s, v8::Value> {
    let pairs: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .flat_map(|(name, value)| [name.into_owned(), value.into_owned()])
        .collect();
    texts(scope, pairs.iter().map(String::as_str))
}

/// A query string of names and values in turn.
#[op2]
#[string]
pub(super) fn op_web_form_serialize(
    scope: &mut v8::PinScope<'_, '_>,
    pairs: v8::Local<'_, v8::Array>,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for at in (0..pairs.length().saturating_sub(1)).step_by(2) {
        let text = |at| {
            pairs
                .get_index(scope, at)
                .map(|text| text.to_rust_string_lossy(scope))
                .unwrap_or_default()
        };
        let (name, value) = (text(at), text(at + 1));
        query.append_pair(&name, &value);
    }
    query.finish()
}

fn texts<'s, 't>(
    scope: &mut v8::PinScope<'s, '_>,
    texts: impl IntoIterator<Item = &'t str>,
) -> v8::Local<'s, v8::Value> {
    let mut items = Vec::new();
    for text in texts {
        match v8::String::new(scope, text) {
            Some(text) => items.push(text.into()),
            None => return v8::null(scope).into(),
        }
    }
    v8::Array::new_with_elements(scope, &items).into()
}
