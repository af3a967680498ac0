//! Pieces of long texts, cut to whole characters.

/// A piece of a text that is kept: of a result, or of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultPiece {
    /// The piece.
    pub text: String,
    /// Its offset in bytes.
    pub offset: u64,
    /// Offset of the next piece, if there is more.
    pub next_offset: Option<u64>,
    /// Length of the whole text in bytes.
    pub total_bytes: u64,
}

impl ResultPiece {
    /// Cuts whole characters out of `bytes`, which begin at `skipped` of the whole text and reach a
    /// character beyond both ends of what is asked for. At least one character, so that every page
    /// gets on.
    pub fn cut(bytes: &[u8], skipped: u64, offset: u64, limit: u64, total: u64) -> Self {
        let place = |at: u64| {
            usize::try_from(at.saturating_sub(skipped))
                .map_or(bytes.len(), |at| at.min(bytes.len()))
        };
        let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let mut start = place(offset);
        while start > 0 && is_inside(start) {
            start -= 1;
        }
        let mut end = place(offset.saturating_add(limit));
        while end > start && is_inside(end) {
            end -= 1;
        }
        if end == start && start < bytes.len() {
            end += 1;
            while is_inside(end) {
                end += 1;
            }
        }
        let next = skipped + end as u64;
        Self {
            text: String::from_utf8_lossy(&bytes[start..end]).into_owned(),
            offset: skipped + start as u64,
            next_offset: (next < total).then_some(next),
            total_bytes: total,
        }
    }
}
