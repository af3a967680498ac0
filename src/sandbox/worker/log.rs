//! The bounds on console output: bytes and lines in all, and the length of one line. What goes over
//! is dropped and counted.

/// The longest line in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// What ends a line that was cut.
const CUT: &str = "…";

/// What has been written so far.
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

    /// What of the line may be written; none when it is dropped whole.
    pub(super) fn admit(&mut self, mut line: String) -> Option<String> {
        let whole = line.len();
        if whole > LINE_BYTES_MAX {
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX - CUT.len()));
            self.dropped_bytes += (whole - line.len()) as u64;
            line.push_str(CUT);
        }
        if self.lines_left == 0 || line.len() as u64 > self.bytes_left {
            // Once something was dropped, nothing shorter slips through after it: the log ends, it
            // has no holes.
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
