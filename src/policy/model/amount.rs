//! Decimal amounts that counters add up.

use std::fmt;

use serde::Serialize;

/// Decimal in millionths: finite, never negative, at most about 9.2 trillion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Amount(i64);

/// Reason why a number is not an [`Amount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Less than zero.
    #[error("is negative")]
    Negative,
    /// Infinite or not a number.
    #[error("is not finite")]
    NotFinite,
    /// Greater than [`Amount::MAX`].
    #[error("is larger than {}", Amount::MAX)]
    TooLarge,
}

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One call.
    pub const ONE: Self = Self(Self::UNIT);
    /// Largest amount.
    pub const MAX: Self = Self(i64::MAX);
    const UNIT: i64 = 1_000_000;

    /// Converts from millionths; `None` if negative.
    pub fn from_millionths(millionths: i64) -> Option<Self> {
        (millionths >= 0).then_some(Self(millionths))
    }

    /// Returns the amount in millionths, the unit in which the store counts.
    pub fn millionths(self) -> i64 {
        self.0
    }

    /// Converts from a whole number.
    pub fn whole(value: u64) -> Result<Self, AmountError> {
        i64::try_from(value)
            .ok()
            .and_then(|value| value.checked_mul(Self::UNIT))
            .map(Self)
            .ok_or(AmountError::TooLarge)
    }

    /// Converts from a JSON number. The shortest decimal form counts, so 0.1 is exactly a tenth.
    /// Digits finer than a millionth round up.
    pub fn from_number(number: &serde_json::Number) -> Result<Self, AmountError> {
        if let Some(value) = number.as_u64() {
            return Self::whole(value);
        }
        if number.as_i64().is_some() {
            return Err(AmountError::Negative);
        }
        Self::from_f64(number.as_f64().unwrap_or(f64::NAN))
    }

    /// Converts from a float, with the rounding of [`Self::from_number`].
    pub fn from_f64(value: f64) -> Result<Self, AmountError> {
        if !value.is_finite() {
            return Err(AmountError::NotFinite);
        }
        if value == 0.0 {
            return Ok(Self::ZERO);
        }
        if value < 0.0 {
            return Err(AmountError::Negative);
        }
        if value >= (i64::MAX / Self::UNIT) as f64 {
            return Err(AmountError::TooLarge);
        }
        // `Display` of a float never uses an exponent and prints the shortest digits that parse
        // back to the same float.
        let digits = value.to_string();
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let whole: i64 = whole.parse().map_err(|_| AmountError::TooLarge)?;
        let (kept, finer) = fraction.split_at(fraction.len().min(6));
        let kept: i64 = format!("{kept:0<6}").parse().map_err(|_| AmountError::NotFinite)?;
        let round_up = i64::from(finer.bytes().any(|digit| digit != b'0'));
        whole
            .checked_mul(Self::UNIT)
            .and_then(|sum| sum.checked_add(kept))
            .and_then(|sum| sum.checked_add(round_up))
            .map(Self)
            .ok_or(AmountError::TooLarge)
    }

    /// Returns the sum, or `None` if it exceeds [`Self::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Returns the next smaller amount, or `None` for zero.
    pub(in crate::policy) fn just_below(self) -> Option<Self> {
        Self::from_millionths(self.0 - 1)
    }

    /// Converts to a float, for expressions.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Self::UNIT as f64
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::UNIT, self.0 % Self::UNIT);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests;
