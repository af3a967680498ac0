//! Parses durations of policy files.

use std::time::Duration;

use crate::policy::file::DurationText;

/// Parses seconds, or a number with the unit `s`, `m`, `h` or `d`.
pub(super) fn parse_duration(text: &DurationText) -> Option<Duration> {
    let text = match text {
        DurationText::Seconds(seconds) => return Some(Duration::from_secs(*seconds)),
        DurationText::Text(text) => text.trim(),
    };
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.trim().parse::<u64>().ok()?.checked_mul(factor).map(Duration::from_secs)
}
