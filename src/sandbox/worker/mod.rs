//! The worker's side. Filled by the engine.
