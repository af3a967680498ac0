//! One call of a tool: its steps as a machine, and the pipeline that performs them.

pub(super) mod budget;
pub(super) mod concurrency;
pub(super) mod context;
pub(super) mod event;
pub(super) mod machine;
pub(super) mod pipeline;
pub(super) mod rejection;
pub(super) mod warnings;
