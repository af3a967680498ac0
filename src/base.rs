//! Foundations that every part may use and that belong to none.

pub mod backoff;
pub mod base64_text;
pub mod confusables;
pub mod digest;
pub mod error;
pub mod file;
pub mod instance;
pub mod integers;
pub mod json;
pub mod limiter;
pub mod memory;
pub mod offload;
pub mod plural;
pub mod suggest;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod unique_keys;
