//! Errors and messages that are identical for both engines.

use super::intake::Prepared;
use crate::{
    model::{ErrorCode, TaskError},
    sandbox::protocol::DoneOutcome,
};

/// The error of a program that repeats an earlier run and does not do what that one did.
pub(super) fn diverged(difference: &str) -> TaskError {
    TaskError {
        name: "ReplayError".into(),
        message: format!("the program did not do what it had done before: {difference}"),
        code: ErrorCode::ReplayDiverged.into(),
        ..TaskError::default()
    }
}

/// The error of a program that can never continue.
pub(super) fn unresolved_promise(prepared: &Prepared) -> TaskError {
    TaskError {
        code: ErrorCode::UnresolvedPromise.into(),
        hint: Some(
            "resolve or reject every promise that is awaited; no tool call or timer is pending \
            that could do it"
                .into(),
        ),
        ..prepared.describe(
            "Error",
            "the program awaits a promise that can never settle",
            None,
            &[],
        )
    }
}

/// The error of code that is not one program once it is compiled.
pub(super) fn not_one_program(prepared: &Prepared) -> TaskError {
    prepared.describe("SyntaxError", "the code is not one program", None, &[])
}

/// The error of a program whose result is too large.
pub(super) fn result_limit(bytes_max: u64) -> TaskError {
    TaskError {
        name: "LimitError".into(),
        message: format!(
            "result limit {} exceeded: the result's JSON is larger",
            mebibytes(bytes_max)
        ),
        code: ErrorCode::ResultLimit.into(),
        hint: Some(
            "return less: a summary, a count, the first items, or only the fields that are needed"
                .into(),
        ),
        ..TaskError::default()
    }
}

/// The outcome of a program that exceeds its heap.
pub(super) fn heap_limit(bytes_max: u64) -> DoneOutcome {
    let message = format!(
        "memory limit {} exceeded: the program holds more than its heap may",
        megabytes(bytes_max)
    );
    DoneOutcome::MemoryLimit { message }
}

/// The outcome of a program that threw the error of a refused array buffer; `None` for any other
/// error.
#[cfg(feature = "v8")]
pub(super) fn buffer_limit(bytes_max: u64, name: &str, message: &str) -> Option<DoneOutcome> {
    (name == "RangeError" && message.contains("Array buffer allocation failed")).then(|| {
        DoneOutcome::MemoryLimit {
            message: format!("memory limit {} for array buffers exceeded", megabytes(bytes_max)),
        }
    })
}

/// The message of a call whose arguments are too large.
#[cfg(feature = "v8")]
pub(super) fn args_too_large(path: &str, bytes: usize, bytes_max: u64) -> String {
    format!("the arguments of tools.{path} are {bytes} bytes of JSON; the limit is {bytes_max}")
}

/// The message of a call that cannot be issued because too many wait.
pub(super) fn too_many_calls(calls_max: u64) -> String {
    format!(
        "{calls_max} tool calls are waiting, which is the limit (`calls_queued_max`): await some \
        of them, for example in chunks of 100"
    )
}

/// The message of a call that cannot be issued because the arguments of waiting calls are too
/// large.
pub(super) fn too_many_bytes(bytes_max: usize) -> String {
    format!(
        "the arguments of waiting tool calls exceed {bytes_max} bytes in total: await some of the \
        calls first"
    )
}

/// The message of a timer that cannot be started because too many are active.
pub(super) fn too_many_timers(timers_max: u64) -> String {
    format!("{timers_max} timers are active, which is the limit")
}

/// The message of a module that cannot be imported.
pub(super) fn import_refused(name: &str) -> String {
    format!(
        "import(\"{name}\") is not available: there are no modules here. Call outside services \
        through `tools`; find them with `await tools.discover(\"what you need\")`"
    )
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

fn mebibytes(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}
