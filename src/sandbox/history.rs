//! What a guest saw of time: the readings of its clock, and the moments at which timers fired. With
//! the responses of its calls and the seed of its random numbers it is all that differs between two
//! runs of one program, so a run that is given it again repeats the first one.
//!
//! The worker tells it to the broker before every call and before it parks; whatever a guest did
//! after that has had no effect. Plain data and its encoding. The worker is hostile: what it tells
//! is checked for its form and given back to it, and decides nothing.

/// Most entries of one run's history. A run with more is not recorded any further.
pub const ENTRIES_MAX: usize = 65_536;
/// Most bytes of an encoded history, with the entry that is one too many.
pub const BYTES_MAX: usize = (ENTRIES_MAX + 1) * TICK_BYTES;

const TICK: u8 = 0;
const FIRED: u8 = 1;
const TICK_BYTES: usize = 13;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The clock was read so often with its value before, and from then on shows another one.
    Tick {
        /// Readings of the value before.
        readings: u32,
        /// The new value: whole milliseconds since the run's origin.
        ms: u64,
    },
    /// A timer fired.
    Fired {
        /// Its number.
        timer: u32,
        /// The number of responses that the guest had received.
        after: u32,
    },
}

/// Encodes entries, one after the other.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * TICK_BYTES);
    for entry in entries {
        match entry {
            Entry::Tick { readings, ms } => {
                bytes.push(TICK);
                bytes.extend(readings.to_le_bytes());
                bytes.extend(ms.to_le_bytes());
            }
            Entry::Fired { timer, after } => {
                bytes.push(FIRED);
                bytes.extend(timer.to_le_bytes());
                bytes.extend(after.to_le_bytes());
            }
        }
    }
    bytes
}

/// Decodes entries. None if they are malformed, or more than [`ENTRIES_MAX`] and one.
pub fn decode(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        if entries.len() > ENTRIES_MAX {
            return None;
        }
        let (first, rest) = rest.split_first_chunk::<4>()?;
        let first = u32::from_le_bytes(*first);
        let (entry, rest) = match *kind {
            TICK => {
                let (ms, rest) = rest.split_first_chunk::<8>()?;
                (Entry::Tick { readings: first, ms: u64::from_le_bytes(*ms) }, rest)
            }
            FIRED => {
                let (after, rest) = rest.split_first_chunk::<4>()?;
                (Entry::Fired { timer: first, after: u32::from_le_bytes(*after) }, rest)
            }
            _ => return None,
        };
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_what_is_malformed_is_refused() {
        let entries = [
            Entry::Tick { readings: 0, ms: 3 },
            Entry::Fired { timer: 1, after: 2 },
            Entry::Tick { readings: u32::MAX, ms: u64::MAX },
        ];
        let bytes = encode(&entries);
        assert_eq!(decode(&bytes).as_deref(), Some(&entries[..]));
        assert_eq!(decode(&[]), Some(vec![]));
        for length in (1..bytes.len()).filter(|length| ![13, 22].contains(length)) {
            assert_eq!(decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        let many = vec![Entry::Fired { timer: 1, after: 0 }; ENTRIES_MAX + 1];
        assert_eq!(decode(&encode(&many)).map(|entries| entries.len()), Some(ENTRIES_MAX + 1));
        let more = vec![Entry::Fired { timer: 1, after: 0 }; ENTRIES_MAX + 2];
        assert_eq!(decode(&encode(&more)), None);
    }
}
