//! Options of V8 and their JSON form, which the protocol carries without knowing it.

use serde::{Deserialize, Serialize};

use crate::model::RawJson;

/// Options of V8, for both engines. The protocol carries them as opaque JSON in
/// [`engine_options`].
///
/// [`engine_options`]: super::protocol::Setup::engine_options
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V8Options {
    /// Enables V8's optimising compilers.
    pub optimize: bool,
}

impl V8Options {
    /// The options as JSON for [`engine_options`](super::protocol::Setup::engine_options).
    pub fn to_json(self) -> RawJson {
        serde_json::value::to_raw_value(&self).expect("a struct of booleans is JSON")
    }
}
