//! Encodings of the bodies of answers (RFC 9110, 8.4). The usual ones are undone while a body is
//! read, so that every bound of an answer is one of what it holds; others are named.

use std::{fmt, io, pin::Pin};

use async_compression::{
    tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _},
    task::coop::consume_budget,
};
use tokio_util::io::StreamReader;

use crate::base::text::cut;

/// Encodings that are asked for.
pub(super) const ACCEPTED: &str = "gzip, deflate, br, zstd";
/// Encodings that are undone, in words.
const KNOWN: &str = "gzip, deflate, br and zstd";
/// Values of the header that change no byte of the body, as some services write them.
const PLAIN: [&str; 7] = ["", "identity", "none", "utf-8", "utf8", "binary", "aws-chunked"];
/// Most encodings of one body, one within the other: a service and a proxy in front of it.
const LAYERS_MAX: usize = 2;
/// Most bytes that an encoding within another one may have: the bound of the answer counts only
/// what the whole holds.
const INNER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest window of zstd as a power of two: 8 MiB, as for every HTTP client (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Longest list of encodings that is told, in bytes.
const TOLD_BYTES_MAX: usize = 80;
/// Bytes that are decoded at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// An encoding that is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Returns true if what follows the end of a part begins as another part does. Everything else
    /// there is padding.
    fn continues(self, first: u8) -> bool {
        match self {
            Self::Gzip => first == 0x1f,
            // A frame, or one that says nothing.
            Self::Zstd => matches!(first, 0x28 | 0x50..=0x5f),
            Self::Deflate | Self::Brotli => false,
        }
    }
}

/// The encodings of a body, in the order in which they were applied, or the reason why it cannot be
/// read.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let written = headers.get_all(CONTENT_ENCODING).iter();
    let named: Vec<String> = written
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            text.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|one| !PLAIN.contains(&one.as_str()))
        .collect();
    let known: Option<Vec<Coding>> = named.iter().map(|name| Coding::of(name)).collect();
    known.filter(|known| known.len() <= LAYERS_MAX).ok_or_else(|| {
        let named = named.join(", ");
        let named: String = cut(&named, TOLD_BYTES_MAX).escape_debug().collect();
        format!(
            "its answer has the content encoding `{named}`; only {KNOWN} are read, at most \
            {LAYERS_MAX} of them together"
        )
    })
}

/// The answer with a body that holds what was encoded, or the reason why it cannot be read.
pub(in crate::catalog) fn decoded(answer: reqwest::Response) -> Result<reqwest::Response, String> {
    let codings = codings(answer.headers())?;
    if codings.is_empty() {
        return Ok(answer);
    }
    let (mut parts, body) = http::Response::from(answer).into_parts();
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    let pieces = http_body_util::BodyDataStream::new(body).map_err(io::Error::other);
    let mut source: Source = Box::pin(StreamReader::new(pieces));
    // The last one was applied last.
    for (at, coding) in codings.into_iter().enumerate().rev() {
        let max = if at == 0 { u64::MAX } else { INNER_BYTES_MAX };
        source = Box::pin(StreamReader::new(undone(coding, source, max).boxed()));
    }
    let pieces = tokio_util::io::ReaderStream::with_capacity(source, PIECE_BYTES);
    let body = reqwest::Body::wrap_stream(pieces.map_err(told_apart));
    Ok(http::Response::from_parts(parts, body).into())
}

type Source = Pin<Box<dyn AsyncBufRead + Send>>;

enum Decoder {
    Gzip(GzipDecoder<Source>),
    Zlib(ZlibDecoder<Source>),
    Deflate(DeflateDecoder<Source>),
    Brotli(Box<BrotliDecoder<Source>>),
    Zstd(ZstdDecoder<Source>),
}

impl Decoder {
    fn new(coding: Coding, first: u8, source: Source) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzipDecoder::new(source)),
            // It should have the head of zlib, and comes without from some services. Bare, no
            // encoder begins with the bits of that head.
            Coding::Deflate if first & 0x0f == 8 => Self::Zlib(ZlibDecoder::new(source)),
            Coding::Deflate => Self::Deflate(DeflateDecoder::new(source)),
            Coding::Brotli => Self::Brotli(Box::new(BrotliDecoder::new(source))),
            Coding::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
                Self::Zstd(ZstdDecoder::with_params(source, &[window]))
            }
        }
    }

    async fn read(&mut self, piece: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read_buf(piece).await,
            Self::Zlib(decoder) => decoder.read_buf(piece).await,
            Self::Deflate(decoder) => decoder.read_buf(piece).await,
            Self::Brotli(decoder) => decoder.read_buf(piece).await,
            Self::Zstd(decoder) => decoder.read_buf(piece).await,
        }
    }

    fn into_source(self) -> Source {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zlib(decoder) => decoder.into_inner(),
            Self::Deflate(decoder) => decoder.into_inner(),
            Self::Brotli(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.into_inner(),
        }
    }
}

/// A body that is being decoded.
enum Stage {
    /// Before the first part, or after one.
    Between { source: Source, is_begun: bool },
    /// Within a part.
    Within(Decoder),
}

/// What was encoded, part after part: a body may be the encodings of several pieces one after the
/// other (RFC 1952, 2.2; RFC 8878, 3.1). An error beyond so many bytes.
fn undone(
    coding: Coding,
    source: Source,
    max: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let start = (Stage::Between { source, is_begun: false }, max);
    stream::try_unfold(start, move |(stage, left)| async move {
        let Some((piece, stage)) = next(coding, stage).await? else { return Ok(None) };
        match left.checked_sub(piece.len() as u64) {
            Some(left) => Ok(Some((piece, (stage, left)))),
            None => {
                let message =
                    format!("an encoding within it has more than {INNER_BYTES_MAX} bytes");
                Err(io::Error::other(message))
            }
        }
    })
}

/// The next piece, and where the body is after it.
async fn next(coding: Coding, mut stage: Stage) -> io::Result<Option<(Bytes, Stage)>> {
    loop {
        // What comes from memory is always ready: the time limits of the call must get their turn.
        consume_budget().await;
        stage = match stage {
            Stage::Between { mut source, is_begun } => {
                let first = source.fill_buf().await?.first().copied();
                match first.filter(|first| !is_begun || coding.continues(*first)) {
                    Some(first) => Stage::Within(Decoder::new(coding, first, source)),
                    None => return Ok(None),
                }
            }
            Stage::Within(mut decoder) => {
                let mut piece = BytesMut::with_capacity(PIECE_BYTES);
                if decoder.read(&mut piece).await? > 0 {
                    return Ok(Some((piece.freeze(), Stage::Within(decoder))));
                }
                Stage::Between { source: decoder.into_source(), is_begun: true }
            }
        };
    }
}

/// A body that is not what its encoding says, or ends before it does.
#[derive(Debug)]
struct NotEncoded(io::Error);

impl fmt::Display for NotEncoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_cut() { f.write_str("a compressed body ends too early") } else { self.0.fmt(f) }
    }
}

impl NotEncoded {
    fn is_cut(&self) -> bool {
        self.0.kind() == io::ErrorKind::UnexpectedEof
    }
}

impl std::error::Error for NotEncoded {}

/// An error of the connection as it was, and one of a decoder as such.
fn told_apart(error: io::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.downcast::<reqwest::Error>() {
        Ok(error) => Box::new(error),
        Err(error) => Box::new(NotEncoded(error)),
    }
}

/// Reason why a body could not be read, if what came is not what its encoding says. One that ends
/// too early was lost on the way.
pub(in crate::catalog) fn broken(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<NotEncoded>() {
            let why = error.to_string();
            return (!error.is_cut()).then(|| {
                let why = cut(&why, 200);
                format!("its answer is not in the content encoding that it names: {why}")
            });
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
