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
        (&["gzip , zstd"], vec![Gzip, Zstd]),
        (&["gzip, gzip"], vec![Gzip, Gzip]),
    ] {
        assert_eq!(of(values), Ok(known), "{values:?}");
    }
    for (values, told) in [
        (&["compress"][..], "`compress`"),
        (&["gzip, dcz"], "`gzip, dcz`"),
        (&["identity", "dcb"], "`dcb`"),
        (&["gzip, gzip, gzip"], "at most 2 of them"),
    ] {
        let text = of(values).unwrap_err();
        assert!(text.contains(told), "{values:?} {text}");
    }
}

/// So many zeros behind this head, compressed by gzip.
fn zeros(head: &[u8], count: u64) -> Vec<u8> {
    use std::io::Read;
    let mut encoded = Vec::new();
    let text = Read::chain(head, Read::take(std::io::repeat(0), count));
    let mut encoder = flate2::read::GzEncoder::new(text, flate2::Compression::fast());
    Read::read_to_end(&mut encoder, &mut encoded).unwrap();
    encoded
}

/// What decoding comes to of a body in gzip and then in another encoding, within it.
async fn decoded_within(outer: Vec<u8>, coding: Coding) -> io::Result<usize> {
    let source: Source = Box::pin(io::Cursor::new(outer));
    let inner: Source =
        Box::pin(StreamReader::new(undone(Coding::Gzip, source, INNER_BYTES_MAX).boxed()));
    let whole = undone(coding, inner, u64::MAX);
    whole.try_fold(0, async |bytes, piece| Ok(bytes + piece.len())).await
}

#[tokio::test]
async fn an_encoding_within_another_has_a_bound() {
    // A frame that says nothing and is nearly as long as it may be.
    let length = u32::try_from(INNER_BYTES_MAX).unwrap();
    let head = [&[0x50, 0x2a, 0x4d, 0x18][..], &length.to_le_bytes()].concat();
    let outer = zeros(&head, INNER_BYTES_MAX);
    let error = decoded_within(outer, Coding::Zstd).await.unwrap_err();
    assert!(error.to_string().contains("more than 67108864 bytes"), "{error}");
}

#[tokio::test]
async fn decoding_without_output_gives_way_to_others() {
    let length = 16 * 1024 * 1024_u32;
    let head = [&[0x50, 0x2a, 0x4d, 0x18][..], &length.to_le_bytes()].concat();
    let outer = zeros(&head, length.into());
    let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(decoded_within(outer, Coding::Zstd).await.unwrap(), 0);
    other.abort();
    let turns = turns.load(std::sync::atomic::Ordering::Relaxed);
    assert!(turns >= 4, "of 1,024 pieces, each 128th gives way: {turns}");
}
