//! Size of a CEL value, as far as the cost of an expression depends on it.

/// Upper bounds of the size of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Number of values, including the value itself.
    pub(super) values: f64,
    /// Bytes of all strings.
    pub(super) bytes: f64,
    /// Elements of the longest list or map.
    pub(super) longest: f64,
}

impl Size {
    pub(super) const TINY: Self = Self { values: 1.0, bytes: 16.0, longest: 0.0 };

    /// Adds the sizes of two values.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            values: self.values + other.values,
            bytes: self.bytes + other.bytes,
            longest: self.longest + other.longest,
        }
    }

    /// Returns the upper bound of two alternatives.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            values: self.values.max(other.values),
            bytes: self.bytes.max(other.bytes),
            longest: self.longest.max(other.longest),
        }
    }

    /// Returns the size of a list of this many such values.
    pub(super) fn times(self, times: f64) -> Self {
        Self { values: self.values * times, bytes: self.bytes * times, longest: times }
    }

    /// Returns the steps needed to visit the whole value.
    pub(super) fn whole(self) -> f64 {
        self.values + self.bytes / 64.0
    }
}
