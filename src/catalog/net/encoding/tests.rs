use super::*;

#[test]
fn an_encoding_that_is_not_undone_is_named() {
    let of = |values: &[&str]| {
        let headers: HeaderMap =
            values.iter().map(|value| (CONTENT_ENCODING, value.parse().unwrap())).collect();
        codings(&headers)
    };
    for plain in [&[][..], &["identity"], &["UTF-8"], &["", "none"], &["aws-chunked"]] {
        assert_eq!(of(plain), Ok(Vec::new()), "{plain:?}");
    }
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    for (values, known) in [
        (&["GZIP"][..], vec![Gzip]),
        (&["x-gzip"], vec![Gzip]),
        (&["X-GZip, identity"], vec![Gzip]),
        (&["Deflate", "BR"], vec![Deflate, Brotli]),
        (&["gzip, gzip , zstd"], vec![Gzip, Gzip, Zstd]),
    ] {
        assert_eq!(of(values), Ok(known), "{values:?}");
    }
    for (values, told) in [
        (&["compress"][..], "`compress`"),
        (&["gzip, dcz"], "`gzip, dcz`"),
        (&["identity", "dcb"], "`dcb`"),
        (&["gzip, gzip, gzip, gzip"], "at most 3 of them"),
    ] {
        let text = of(values).unwrap_err();
        assert!(text.contains(told), "{values:?} {text}");
    }
}
