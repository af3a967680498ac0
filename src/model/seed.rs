//! The seed of a program's random numbers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Seed of a guest's random numbers. In JSON 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed from the system's source of random bytes.
    ///
    /// # Panics
    /// If the system has none.
    pub fn random() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the system has random bytes");
        Self(seed)
    }
}

// Whoever knows it knows the random numbers of the guest.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let seed = hex::decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
        seed.map(Self).ok_or_else(|| D::Error::custom("a seed is 64 hexadecimal digits"))
    }
}
