//! Integers that a JavaScript number cannot hold exactly.
//!
//! A program reads JSON as JavaScript does, which rounds integers beyond 2^53 - 1. Therefore they
//! reach a program as strings of their digits, and come back as such, or as bigints.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// Largest integer of a JavaScript number that is exact, as its neighbours are: 2^53 - 1.
pub const SAFE_MAX: u64 = (1 << 53) - 1;
/// Decimal digits of [`SAFE_MAX`].
const SAFE_DIGITS: usize = 16;

/// Returns true if the text is an integer in decimal digits, as JSON writes it, beyond
/// [`SAFE_MAX`].
pub fn is_unsafe(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() >= SAFE_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && digits.parse::<u64>().map_or(true, |value| value > SAFE_MAX)
}

/// Returns the number that such a text stands for; none if it is safe, no integer, or beyond 64
/// bits.
pub fn unsafe_integer(text: &str) -> Option<Number> {
    if !is_unsafe(text) {
        return None;
    }
    let number = text.parse::<i64>().map(Number::from);
    number.or_else(|_| text.parse::<u64>().map(Number::from)).ok()
}

/// Returns the digits of an integer beyond [`SAFE_MAX`] that JSON holds exactly.
pub fn unsafe_digits(value: &Value) -> Option<String> {
    let number = value.as_number().filter(|number| number.is_i64() || number.is_u64())?;
    Some(number.to_string()).filter(|digits| is_unsafe(digits))
}

/// Returns true if the value is a whole number at which JavaScript may have rounded an integer.
pub fn is_rounded(value: &Value) -> bool {
    let float = value.as_number().filter(|number| number.is_f64()).and_then(Number::as_f64);
    float.is_some_and(|float| float.fract() == 0.0 && float.abs() > SAFE_MAX as f64)
}

/// Puts quotes around the integers beyond [`SAFE_MAX`] in a JSON text, and around numbers beyond
/// the range of a double, which JavaScript reads as infinite.
pub fn quote_unsafe(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    if !may_be_unsafe(bytes) {
        return Cow::Borrowed(json);
    }
    let mut out: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                let number = &json[at..at + length];
                if is_unsafe(number) || number.parse::<f64>().is_ok_and(f64::is_infinite) {
                    let out = out.get_or_insert_with(|| String::with_capacity(json.len() + 64));
                    out.push_str(&json[copied..at]);
                    out.push('"');
                    out.push_str(number);
                    out.push('"');
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    match out {
        None => Cow::Borrowed(json),
        Some(mut out) => {
            out.push_str(&json[copied..]);
            Cow::Owned(out)
        }
    }
}

/// Returns false if the text certainly has neither as many digits in a row as [`SAFE_MAX`] nor an
/// exponent of three digits. Looks at few of the bytes.
pub fn may_be_unsafe(json: &[u8]) -> bool {
    let is_digit = |at: &usize| json.get(*at).is_some_and(u8::is_ascii_digit);
    // Of so many digits in a row, one stands at a multiple of their number.
    let has_long = (SAFE_DIGITS - 1..json.len()).step_by(SAFE_DIGITS).any(|at| {
        let before = (0..at).rev().take_while(is_digit).take(SAFE_DIGITS).count();
        let after = (at..json.len()).take_while(is_digit).take(SAFE_DIGITS).count();
        is_digit(&at) && before + after >= SAFE_DIGITS
    });
    let has_exponent = || {
        memchr::memchr2_iter(b'e', b'E', json).any(|at| {
            let sign = usize::from(matches!(json.get(at + 1), Some(b'+')));
            at > 0 && is_digit(&(at - 1)) && (1..=3).all(|ahead| is_digit(&(at + sign + ahead)))
        })
    };
    has_long || has_exponent()
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
}

/// Returns the position after the string that begins at `at`.
fn after_string(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &json[at.min(json.len())..]) {
        match json[at + found] {
            b'"' => return at + found + 1,
            _ => at += found + 2,
        }
    }
    json.len()
}

#[cfg(test)]
#[path = "integers/tests.rs"]
mod tests;
