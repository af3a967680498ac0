//! The forms in which a secret may stand in what an upstream says: as it is, escaped, and in the
//! encodings that services use for headers, addresses and bytes. Not those that somebody makes up
//! to get it out: no list of forms could be complete.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use serde_json::Value;

/// Shorter secrets are not looked for in encodings of bytes, whose pieces would be too short to
/// mean them.
const ENCODED_BYTES_MIN: usize = 12;

/// Every form of one secret, itself among them. What stands in an address is also looked for as it
/// is written there, for services quote addresses within others.
pub(super) fn of(secret: &str) -> Vec<String> {
    let mut written = in_address(secret);
    written.push(secret.to_owned());
    let mut forms = Vec::new();
    for text in &written {
        // Quoted in JSON, as a server may log or report it, a secret stands with escapes.
        let quoted = escaped(text);
        forms.extend([text.clone(), quoted.replace('/', "\\/"), quoted]);
        forms.extend(in_address(text));
        if text.len() >= ENCODED_BYTES_MIN {
            forms.extend(in_base64(text));
            let hex = hex::encode(text);
            forms.extend([hex.to_uppercase(), hex]);
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// In the ways in which it may be written in an address.
fn in_address(text: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let spaced = encoded.replace('+', "%20");
    let mut all = vec![lower_escapes(&encoded), lower_escapes(&spaced), encoded, spaced];
    all.sort_unstable();
    all.dedup();
    all
}

/// `%2F` as `%2f`.
fn lower_escapes(encoded: &str) -> String {
    let mut left = 0;
    let lower = |c: char| {
        left = if c == '%' { 3 } else { usize::saturating_sub(left, 1) };
        if left > 0 { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(lower).collect()
}

/// Part of a secret's base64 that does not depend on its surroundings: it differs with the number
/// of bytes before it modulo three.
fn in_base64(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        // A character holds six bits; those at the ends are shared with the neighbours.
        let characters = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.push(text[characters.clone()].to_owned());
        }
    }
    forms
}

/// The text as it stands within a JSON string.
pub(super) fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
