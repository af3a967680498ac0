//! Names every concrete part and joins them; decides nothing.
//!
//! [`serve`] and [`serve_stdio`] open everything in order, serve, and close in the reverse order.
//! The rest maps the configuration to single parts, for commands that need one without a server.

mod failure;
mod live;
mod probe;
mod runtimes;
mod settings;
mod start;
mod stdio;
mod upstreams;
mod watch;

pub use failure::{Exit, Failure};
pub use probe::{Probed, detect, detect_as, probe};
pub use runtimes::{RuntimeStatus, statuses as runtime_statuses};
pub use settings::{policy_source, warn};
pub use start::{Audience, Signals, serve};
pub use stdio::serve_stdio;
pub use upstreams::{OnProgress, cached_tool_counts, connect_all, login, missing_secrets, vault};
