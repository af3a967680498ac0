//! The worker's side. Filled by the engine.

#[cfg(feature = "v8")]
pub mod intake;
