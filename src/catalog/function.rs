//! Functions under `tools` that the host answers itself: their arguments are checked like any tool's.

use serde::de::DeserializeOwned;

use super::{arguments, arguments::ArgumentError, tool::Tool};

/// A function of the host, as a tool that is in no catalog.
#[derive(Debug)]
pub struct HostFunction(Tool);

impl HostFunction {
    /// A function at this path that takes these arguments.
    pub fn new<Args: schemars::JsonSchema>(path: &str) -> Self {
        Self(Tool::own::<Args>(path))
    }

    /// Where code finds it.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The arguments, if they fit; the error says how they would.
    pub fn arguments<Args: DeserializeOwned>(&self, args: &str) -> Result<Args, ArgumentError> {
        let args = serde_json::Value::Object(arguments::check(&self.0, args)?);
        // The schema that they were checked against is made of the same type.
        serde_json::from_value(args).map_err(|error| ArgumentError { tool: self.0.path.clone(), message: error.to_string() })
    }
}
