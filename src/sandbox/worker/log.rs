//! Limits on console output: total bytes, total lines and the length of a line. Output over a limit
//! is dropped and counted.

/// Limit on the length of a line in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Suffix of a truncated line.
const CUT: &str = "…";

/// Console output that is still allowed, and the amount that was dropped.
pub(super) struct LogMeter {
    bytes_left: u64,
    lines_left: u64,
    pub(super) dropped_lines: u64,
    pub(super) dropped_bytes: u64,
}

impl LogMeter {
    pub(super) fn new(bytes_max: u64, lines_max: u64) -> Self {
        Self { bytes_left: bytes_max, lines_left: lines_max, dropped_lines: 0, dropped_bytes: 0 }
    }

    /// Returns the part of the line that may be written; `None` if the whole line is dropped.
    pub(super) fn admit(&mut self, mut line: String) -> Option<String> {
        let whole = line.len();
        if whole > LINE_BYTES_MAX {
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX - CUT.len()));
            self.dropped_bytes += (whole - line.len()) as u64;
            line.push_str(CUT);
        }
        if self.lines_left == 0 || line.len() as u64 > self.bytes_left {
            // After a dropped line, shorter lines are dropped as well: the log ends, it has no
            // gaps.
            self.lines_left = 0;
            self.dropped_lines += 1;
            self.dropped_bytes += line.len() as u64;
            return None;
        }
        self.lines_left -= 1;
        self.bytes_left -= line.len() as u64;
        Some(line)
    }
}
