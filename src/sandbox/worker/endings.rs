//! Endings and refusals that are the same whatever the engine is, word for word.

use super::intake::Prepared;
use crate::{
    model::{ErrorCode, TaskError},
    sandbox::protocol::DoneOutcome,
};

/// The end of a program that can never go on.
pub(super) fn unresolved_promise(prepared: &Prepared) -> TaskError {
    TaskError {
        code: ErrorCode::UnresolvedPromise.into(),
        hint: Some(
            "resolve or reject every promise that is awaited; no tool call and no timer is under \
            way that could do it"
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

/// The end of code that is no program once it is compiled.
pub(super) fn not_one_program(prepared: &Prepared) -> TaskError {
    prepared.describe("SyntaxError", "the code is not one program", None, &[])
}

/// The end of a program whose result is too large.
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

/// The end of a program that holds too much.
pub(super) fn heap_limit(bytes_max: u64) -> DoneOutcome {
    let message = format!(
        "memory limit {} exceeded: the program holds more than its heap may",
        megabytes(bytes_max)
    );
    DoneOutcome::MemoryLimit { message }
}

/// The end of a program that was refused an array buffer and threw what it got; none for every
/// other error.
#[cfg(feature = "v8")]
pub(super) fn buffer_limit(bytes_max: u64, name: &str, message: &str) -> Option<DoneOutcome> {
    (name == "RangeError" && message.contains("Array buffer allocation failed")).then(|| {
        DoneOutcome::MemoryLimit {
            message: format!("memory limit {} for array buffers exceeded", megabytes(bytes_max)),
        }
    })
}

/// Why a call cannot be issued: as many wait as may.
pub(super) fn too_many_calls(calls_max: u64) -> String {
    format!(
        "{calls_max} tool calls are waiting already, the most that may (limit \
        `calls_queued_max`): await some of them, for example in chunks of 100"
    )
}

/// Why a call cannot be issued: those that wait have too much to say.
pub(super) fn too_many_bytes(bytes_max: usize) -> String {
    format!(
        "the arguments of waiting tool calls are over {bytes_max} bytes in all: await some of the \
        calls first"
    )
}

/// Why a timer cannot be started.
pub(super) fn too_many_timers(timers_max: u64) -> String {
    format!("{timers_max} timers are running already, the most that may")
}

/// Why a module cannot be imported.
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
