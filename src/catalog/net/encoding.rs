//! Encodings of the bodies of answers. The HTTP client undoes the usual ones while a body is read,
//! so that every bound of an answer is one of what it holds; what is left is named.

use http::{HeaderMap, header::CONTENT_ENCODING};

use crate::base::text::cut;

/// Encodings that are undone.
const KNOWN: &str = "gzip, deflate, br and zstd";
/// Values of the header that change no byte of the body, as some services write them.
const PLAIN: [&str; 7] = ["", "identity", "none", "utf-8", "utf8", "binary", "aws-chunked"];
/// Longest list of encodings that is told, in bytes.
const TOLD_BYTES_MAX: usize = 80;

/// Reason why the body of an answer cannot be read, if it is encoded in a way that is not undone.
pub(in crate::catalog) fn unreadable(headers: &HeaderMap) -> Option<String> {
    let written = headers.get_all(CONTENT_ENCODING).iter();
    let named: Vec<String> = written
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            text.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|one| !PLAIN.contains(&one.as_str()))
        .collect();
    (!named.is_empty()).then(|| {
        let named = named.join(", ");
        let named: String = cut(&named, TOLD_BYTES_MAX).escape_debug().collect();
        format!("its answer has the content encoding `{named}`; only one of {KNOWN} is read")
    })
}

/// Reason why a body could not be read, if what came is not what its encoding says.
pub(in crate::catalog) fn broken(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // Errors of a connection are those of the HTTP library, or say so by their kind.
        if error.is::<hyper::Error>() {
            return None;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind as Kind;
            // The HTTP library's error may be wrapped in this one.
            if error.get_ref().is_some_and(|inner| inner.is::<hyper::Error>()) {
                return None;
            }
            if matches!(error.kind(), Kind::InvalidData | Kind::InvalidInput | Kind::Other) {
                let why = cut(&error.to_string(), 200).to_owned();
                return Some(format!(
                    "its answer is not in the content encoding that it names: {why}"
                ));
            }
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_that_is_not_undone_is_named() {
        let named = |values: &[&str]| {
            let headers: HeaderMap =
                values.iter().map(|value| (CONTENT_ENCODING, value.parse().unwrap())).collect();
            unreadable(&headers)
        };
        for plain in [&[][..], &["identity"], &["UTF-8"], &["", "none"], &["aws-chunked"]] {
            assert_eq!(named(plain), None, "{plain:?}");
        }
        for (values, told) in [
            (&["compress"][..], "`compress`"),
            (&["gzip, br"], "`gzip, br`"),
            (&["identity", "dcb"], "`dcb`"),
        ] {
            let text = named(values);
            assert!(text.as_deref().is_some_and(|text| text.contains(told)), "{values:?} {text:?}");
        }
    }
}
