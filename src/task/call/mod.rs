//! One call of a tool: found, checked, decided, approved, counted, recorded, sent.

pub(super) mod budget;
pub(super) mod concurrency;
pub(super) mod pipeline;
pub(super) mod rejection;
