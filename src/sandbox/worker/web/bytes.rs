//! Conversion of strings to bytes and back, base64, digests.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use deno_core::{op2, v8};
use sha2::Digest;

/// Base64 as the web platform decodes it: padding is removed before, and trailing bits are ignored.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Characters of windows-1252 in place of Latin-1's control characters, 0x80 to 0x9F.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039,
    0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc,
    0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
];

/// Supported encodings, by their numbers in `text.ts`.
#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Windows1252,
}

impl Encoding {
    fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Utf16Le,
            2 => Self::Windows1252,
            _ => Self::Utf8,
        }
    }
}

/// Returns the length of a string in UTF-8. A lone surrogate counts as its replacement.
#[op2(fast)]
pub(super) fn op_web_utf8_length(scope: &mut v8::PinScope<'_, '_>, text: &v8::String) -> f64 {
    text.utf8_length(scope) as f64
}

/// Writes a string in UTF-8 as far as whole characters fit. Returns `[UTF-16 units read, bytes
/// written]`.
#[op2]
pub(super) fn op_web_encode_into<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    text: v8::Local<'s, v8::String>,
    #[buffer] bytes: &mut [u8],
) -> v8::Local<'s, v8::Value> {
    let mut read = 0;
    let written =
        text.write_utf8_v2(scope, bytes, v8::WriteFlags::kReplaceInvalidUtf8, Some(&mut read));
    let counts =
        [v8::Number::new(scope, read as f64).into(), v8::Number::new(scope, written as f64).into()];
    v8::Array::new_with_elements(scope, &counts).into()
}

/// Returns the number of bytes at the end that begin a character which further bytes may complete.
#[op2(fast)]
pub(super) fn op_web_incomplete_tail(#[buffer] bytes: &[u8], encoding: u32) -> u32 {
    match Encoding::from_number(encoding) {
        Encoding::Windows1252 => 0,
        Encoding::Utf16Le => {
            let odd = bytes.len() % 2;
            let high = bytes[..bytes.len() - odd]
                .last_chunk::<2>()
                .is_some_and(|unit| (0xd8..0xdc).contains(&unit[1]));
            (odd + if high { 2 } else { 0 }) as u32
        }
        Encoding::Utf8 => {
            let tail = &bytes[bytes.len().saturating_sub(3)..];
            let starts = (1..=tail.len()).rev().filter(|length| tail[tail.len() - length] >= 0xc0);
            let incomplete = |length: &usize| {
                std::str::from_utf8(&tail[tail.len() - length..])
                    .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
            };
            starts.into_iter().find(incomplete).unwrap_or(0) as u32
        }
    }
}

/// Decodes bytes to a string. Returns null if `fatal` is set and they are invalid, or if the string
/// would be longer than V8 allows.
#[op2]
pub(super) fn op_web_decode<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[buffer] bytes: &[u8],
    encoding: u32,
    fatal: bool,
) -> v8::Local<'s, v8::Value> {
    let normal = v8::NewStringType::Normal;
    let text = match Encoding::from_number(encoding) {
        Encoding::Utf8 if fatal && std::str::from_utf8(bytes).is_err() => None,
        Encoding::Utf8 => {
            v8::String::new_from_utf8(scope, String::from_utf8_lossy(bytes).as_bytes(), normal)
        }
        Encoding::Utf16Le => {
            let units = bytes.chunks(2).map(|unit| {
                if let [low, high] = unit { u16::from_le_bytes([*low, *high]) } else { 0xd800 }
            });
            let decoded: Result<String, _> = char::decode_utf16(units.clone()).collect();
            let lossy = || {
                char::decode_utf16(units)
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect()
            };
            let decoded =
                if fatal { decoded.ok() } else { Some(decoded.unwrap_or_else(|_| lossy())) };
            decoded.and_then(|text| v8::String::new_from_utf8(scope, text.as_bytes(), normal))
        }
        Encoding::Windows1252 if bytes.iter().all(|byte| !(0x80..0xa0).contains(byte)) => {
            v8::String::new_from_one_byte(scope, bytes, normal)
        }
        Encoding::Windows1252 => {
            let unit = |byte: &u8| {
                byte.checked_sub(0x80).and_then(|at| WINDOWS_1252.get(usize::from(at))).copied()
            };
            let units: Vec<u16> =
                bytes.iter().map(|byte| unit(byte).unwrap_or(u16::from(*byte))).collect();
            v8::String::new_from_two_byte(scope, &units, normal)
        }
    };
    text.map_or_else(|| v8::null(scope).into(), Into::into)
}

/// Encodes a string of bytes as base64. Returns null if a character is not a byte.
#[op2]
pub(super) fn op_web_btoa<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    text: v8::Local<'s, v8::String>,
) -> v8::Local<'s, v8::Value> {
    if !text.contains_only_onebyte() {
        return v8::null(scope).into();
    }
    let mut bytes = vec![0; text.length()];
    text.write_one_byte_v2(scope, 0, &mut bytes, v8::WriteFlags::empty());
    let encoded = FORGIVING.encode(bytes);
    v8::String::new_from_one_byte(scope, encoded.as_bytes(), v8::NewStringType::Normal)
        .map_or_else(|| v8::null(scope).into(), Into::into)
}

/// Decodes base64 to a string of bytes. Returns null if the input is not base64.
#[op2]
pub(super) fn op_web_atob<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    text: v8::Local<'s, v8::String>,
) -> v8::Local<'s, v8::Value> {
    if !text.contains_only_onebyte() {
        return v8::null(scope).into();
    }
    let mut bytes = vec![0; text.length()];
    text.write_one_byte_v2(scope, 0, &mut bytes, v8::WriteFlags::empty());
    bytes.retain(|byte| !matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' '));
    if bytes.len().is_multiple_of(4) {
        let padding = bytes.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
        bytes.truncate(bytes.len() - padding);
    }
    // A remaining `=` is misplaced padding, which the decoder would accept.
    let decoded = if bytes.contains(&b'=') { None } else { FORGIVING.decode(&bytes).ok() };
    decoded
        .and_then(|bytes| v8::String::new_from_one_byte(scope, &bytes, v8::NewStringType::Normal))
        .map_or_else(|| v8::null(scope).into(), Into::into)
}

/// Writes a digest into a buffer of its length. The numbers 1, 256, 384 and 512 select the SHA.
#[op2(fast)]
pub(super) fn op_web_digest(
    algorithm: u32,
    #[buffer] bytes: &[u8],
    #[buffer] digest: &mut [u8],
) -> bool {
    let computed: &[u8] = match algorithm {
        1 => &sha1::Sha1::digest(bytes),
        256 => &sha2::Sha256::digest(bytes),
        384 => &sha2::Sha384::digest(bytes),
        512 => &sha2::Sha512::digest(bytes),
        _ => return false,
    };
    if computed.len() != digest.len() {
        return false;
    }
    digest.copy_from_slice(computed);
    true
}
