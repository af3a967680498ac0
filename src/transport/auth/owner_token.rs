//! The owner's token, which the commands of this machine's owner send to `/v1`.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The token as its digest. Compared in constant time; its text is never shown again.
#[derive(Clone)]
pub struct OwnerToken {
    digest: [u8; 32],
}

impl OwnerToken {
    /// The token with this text. The caller keeps the text where only the owner can read it.
    pub fn new(text: &str) -> Self {
        Self { digest: Sha256::digest(text.as_bytes()).into() }
    }

    /// True if `given` is the token. Takes the same time wherever it differs.
    pub fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.digest.ct_eq(&given).into()
    }
}

impl fmt::Debug for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerToken(…)")
    }
}
