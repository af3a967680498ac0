//! Plain data that every part may speak of: tasks, their events, who asks, what is allowed, what a
//! tool is said to do, how a service is told who asks.
//!
//! Nothing here does input or output, knows SQL, a protocol or V8. Serialised names are those of
//! the public contract.

mod approval;
mod artifact;
mod credential;
mod error_code;
mod event;
mod former_name;
mod host_function;
mod id;
mod operation_pattern;
mod principal;
mod schema;
mod seed;
mod task;
mod tool;
mod upstream;

pub use approval::{Approval, ApprovalStatus, Asked, AskingRule};
pub use artifact::{
    Artifact, ArtifactKind, HANDLE_FIELDS, HANDLE_KEY, Media, Showable, handle_id, has_handle,
    inline_media, showables,
};
pub use credential::{ApiKey, Credential, KeyPlace, SecretSource};
pub use error_code::{ErrorCode, ErrorKind};
pub use event::{
    ApprovalRequested, ApprovalResolved, CallCompleted, CallDecision, CallDenied, CallFailed,
    CallRequested, CallStarted, DecidingRule, EndError, Event, EventDetails, EventKind, NewEvent,
    NoDetails, ShadowFinding, TaskEnded, TaskRunning,
};
pub use former_name::FormerName;
pub use host_function::{
    ArtifactFunction, DiscoveryFunction, HOST_FUNCTIONS, HostFunction, HostFunctionId,
    PlainArgument,
    arguments::{
        ArtifactJson, ArtifactLines, DescribeQuery, DiscoverQuery, ListArtifacts, NamespacesQuery,
        ReadArtifact, RemoveArtifact, SearchArtifact, ToolsQuery,
    },
};
pub use id::{
    ApprovalId, ArtifactId, IdBeginning, IdKind, InstanceId, InvalidApprovalId, InvalidArtifactId,
    InvalidIdBeginning, InvalidInstanceId, InvalidTaskId, TaskId,
};
pub use operation_pattern::{InvalidPattern, OperationPattern};
pub use principal::{Principal, Role};
pub use schema::Schema;
pub use seed::Seed;
pub use task::{LogLevel, LogLine, Logs, Task, TaskError, TaskStatus, Usage};
pub use tool::{Annotations, Operation};
pub use upstream::{
    CALL_TIMEOUT_MS, Document, InvalidName, NAMESPACE_CHARS_MAX, REFRESH_MINUTES, START_TIMEOUT_MS,
    UpstreamName, is_reserved_namespace, reserved_namespaces,
};

/// A JSON text that is forwarded as it is, never parsed further than needed.
pub type RawJson = Box<serde_json::value::RawValue>;
/// A JSON object.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
/// A moment in UTC; serialised as ISO 8601.
pub type Timestamp = jiff::Timestamp;
