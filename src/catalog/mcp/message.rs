//! Limits of one message of a server, for both transports.

use std::time::Duration;

use crate::{base::json::values_in, catalog::upstream::response::ANSWER_BYTES_MAX};

/// Longest message of a server, in bytes: the largest answer that stands in it twice, as text and
/// structured, with escapes.
pub(super) const BYTES_MAX: usize = 2 * ANSWER_BYTES_MAX + 16 * 1024 * 1024;
/// Values of JSON in one: the protocol library makes each into some 100 bytes of memory.
pub(super) const VALUES_MAX: usize = 2_000_000;
/// Longest time in which the rest of a large one comes.
pub(super) const LARGE_MAX: Duration = Duration::from_secs(60);
/// Longest silence within a large one, which holds a place that others wait for.
pub(super) const LARGE_SILENCE_MAX: Duration = Duration::from_secs(10);
/// JSON-RPC error code in place of a message that is too large.
pub(super) const OVERSIZED: i32 = -32_098;
/// JSON-RPC error code in place of an answer that cannot be read.
pub(super) const UNREADABLE: i32 = -32_097;
/// JSON-RPC error code of an error that has no number of its own.
pub(super) const UNNUMBERED: i32 = -32_096;
/// Longest piece of an upstream's own words in an error, in bytes. The supervisor cuts further,
/// once secrets are blanked: cut here, one could be halved and go unnoticed.
pub(super) const SAID_BYTES_MAX: usize = 16 * 1024;

/// Returns true if it has more values than it may. Each takes two bytes at least.
pub(super) fn is_crowded(message: &[u8]) -> bool {
    message.len() > 2 * VALUES_MAX && values_in(message) > VALUES_MAX
}
