//! The ground: what every part may use and that is no part's own.

pub mod instance;
pub mod json;
pub mod memory;
pub mod text;
