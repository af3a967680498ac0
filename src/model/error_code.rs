//! The codes of errors, each with its page in `docs/errors`. A code exists only where a client, or
//! a program, would act on it.

/// The kind of a failure; each protocol maps it to its own codes in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is not well formed or out of bounds.
    InvalidInput,
    /// There is no such thing, or it is not the caller's.
    NotFound,
    /// The caller may not.
    Denied,
    /// It does not fit the present state.
    Conflict,
    /// A bound was reached; later it may work.
    LimitHit,
    /// Something that is needed does not work now.
    Unavailable,
    /// It was cancelled.
    Cancelled,
    /// The program or the tool itself failed.
    Failed,
    /// A bug or a broken machine.
    Internal,
}

impl ErrorKind {
    /// Returns true if the same request may succeed later.
    pub fn retryable(self) -> bool {
        matches!(self, Self::LimitHit | Self::Unavailable)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident;)*) => {
        /// The code of an error, as clients and programs see it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code itself; its page is `docs/errors/CODE.md`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The code of that name.
            pub fn of(text: &str) -> Option<Self> {
                Self::ALL.iter().find(|code| code.as_str() == text).copied()
            }

            /// The kind of failure that it reports.
            pub const fn kind(self) -> ErrorKind {
                match self {
                    $(Self::$name => ErrorKind::$kind,)*
                }
            }
        }
    };
}

codes! {
    /// A request to Airlock itself is not well formed or out of bounds.
    InvalidArgument = "invalid_argument", InvalidInput;
    /// `cursor` is not one that this list gave out.
    InvalidCursor = "invalid_cursor", InvalidInput;
    /// `runtimeId` names a runtime that this server does not have.
    UnknownRuntime = "unknown_runtime", InvalidInput;
    /// No runtime is installed where the server runs.
    NoRuntime = "no_runtime", Unavailable;
    /// There is no task of that id, or it belongs to another workspace.
    TaskNotFound = "task_not_found", NotFound;
    /// The body of a request to `/v1` broke off.
    InvalidBody = "invalid_body", InvalidInput;
    /// The body of a request to `/v1` is larger than is read.
    BodyTooLarge = "body_too_large", InvalidInput;
    /// `/v1` is for the server's owner, who shows a token.
    Unauthorized = "unauthorized", Denied;
    /// The caller lacks the role that the command needs.
    Forbidden = "forbidden", Denied;
    /// A web page of another origin called the server.
    OriginNotAllowed = "origin_not_allowed", Denied;
    /// The server was called by a name that is not its own.
    HostNotAllowed = "host_not_allowed", Denied;
    /// The request has no well-formed `Host`.
    InvalidHost = "invalid_host", InvalidInput;
    /// The server has nothing at this path.
    RouteNotFound = "route_not_found", NotFound;
    /// The path does not take this HTTP method.
    MethodNotAllowed = "method_not_allowed", InvalidInput;
    /// As many tasks wait as may, or the record takes no more writes now.
    Busy = "busy", LimitHit;
    /// The server is about to stop and takes no new tasks.
    ShuttingDown = "shutting_down", Unavailable;
    /// The server that had this request ended before it answered.
    ServerLost = "server_lost", Unavailable;
    /// The database could not be read or written: a full disk, a file that went away, a broken one.
    StoreUnavailable = "store_unavailable", Unavailable;
    /// Something happened that should not be able to.
    Internal = "internal", Internal;
    /// The program threw, or a promise it awaited was rejected, and nothing caught it.
    UncaughtException = "uncaught_exception", Failed;
    /// The program does not parse, or uses a form that this engine cannot run (static `import`,
    /// decorators, JSX).
    SyntaxError = "syntax_error", InvalidInput;
    /// Heap or array buffers grew beyond `limits.heap_mb` or `limits.buffers_mb`.
    MemoryLimit = "memory_limit", LimitHit;
    /// The program computed for longer than `limits.cpu_ms`, waiting not counted.
    CpuLimit = "cpu_limit", LimitHit;
    /// `timeoutMs` ran out.
    TimeLimit = "time_limit", LimitHit;
    /// The returned value is larger than `limits.result_mb` as JSON.
    ResultLimit = "result_limit", LimitHit;
    /// The source is too large or nested too deep to be read safely.
    CodeLimit = "code_limit", InvalidInput;
    /// The program waits for a promise that nothing will ever settle: no tool call, no timer is
    /// under way.
    UnresolvedPromise = "unresolved_promise", Failed;
    /// The process that ran the program ended or was ended before its last word.
    WorkerLost = "worker_lost", Unavailable;
    /// No process could be started for the program.
    WorkerStartFailed = "worker_start_failed", Unavailable;
    /// The server stopped or died while the task ran.
    ServerStopped = "server_stopped", Unavailable;
    /// A program that ran again after a restart or a long wait did not do what it had done before.
    ReplayDiverged = "replay_diverged", Failed;
    /// Somebody cancelled it: `task_cancel`, `airlock tasks cancel`, Ctrl-C in `airlock run`, or a
    /// client that took its request back.
    Cancelled = "cancelled", Cancelled;
    /// No tool has that path.
    ToolNotFound = "tool_not_found", NotFound;
    /// The arguments do not fit the tool's schema.
    InvalidToolArguments = "invalid_tool_arguments", InvalidInput;
    /// The record could not take the call, so the call was not made.
    RecordWriteFailed = "record_write_failed", Unavailable;
    /// The upstream ran the tool and said that it failed.
    ToolFailed = "tool_failed", Failed;
    /// The upstream is not connected: its program is missing or ended, its address does not answer,
    /// or it did not start in time.
    UpstreamUnavailable = "upstream_unavailable", Unavailable;
    /// As many calls of this upstream are under way and waiting as may.
    UpstreamBusy = "upstream_busy", LimitHit;
    /// The upstream did not answer within `call_timeout_ms`.
    UpstreamTimeout = "upstream_timeout", Unavailable;
    /// The connection to the upstream broke while the call was under way.
    UpstreamLost = "upstream_lost", Unavailable;
    /// The server stopped between the sending of the call and its answer.
    OutcomeUnknown = "outcome_unknown", Failed;
    /// The upstream refused the request itself: wrong credentials, unknown tool, bad protocol.
    UpstreamRejected = "upstream_rejected", Failed;
    /// The upstream wants to ask a person something in the middle of the call.
    InputRequired = "input_required", Failed;
    /// The upstream's answer is larger than may be.
    ResponseTooLarge = "response_too_large", Failed;
    /// The upstream's answer is not what the protocol allows.
    InvalidResponse = "invalid_response", Failed;
    /// There is no artifact of that id: expired, removed, or another workspace's.
    ArtifactNotFound = "artifact_not_found", NotFound;
    /// The response becomes an artifact, and the workspace has no space to store it.
    ArtifactQuotaExceeded = "artifact_quota_exceeded", LimitHit;
    /// The artifacts in the arguments are too large together.
    ArgumentsTooLarge = "arguments_too_large", InvalidInput;
    /// A rule of the policy refuses the call.
    PolicyDenied = "policy_denied", Denied;
    /// A person refused the call.
    ApprovalDenied = "approval_denied", Denied;
    /// Nobody approved the call in time.
    ApprovalExpired = "approval_expired", Denied;
    /// A limit or a budget is used up.
    RateLimited = "rate_limited", LimitHit;
    /// The call could not be decided about.
    PolicyError = "policy_error", Denied;
    /// There is no approval of that id, or it belongs to another workspace.
    ApprovalNotFound = "approval_not_found", NotFound;
    /// The approval is no longer waiting for a decision.
    ApprovalAlreadyDecided = "approval_already_decided", Conflict;
    /// The arguments cannot be shown whole.
    ApprovalNotDisplayable = "approval_not_displayable", Conflict;
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ErrorCode> for String {
    fn from(code: ErrorCode) -> Self {
        code.as_str().to_owned()
    }
}
