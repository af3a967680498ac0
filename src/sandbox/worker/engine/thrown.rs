//! Describes thrown values: positions come from V8's own record, never from a `stack` that guest
//! code could have written.

use deno_core::v8;

use crate::sandbox::worker::intake::Prepared;

/// Line and column in the guest's script as V8 counts them, from 1.
pub(super) type Position = (u32, u32);

/// Number of stack frames that are reported to the caller.
const FRAMES_MAX: usize = 10;
/// Number of stack frames that are searched for the guest's own.
const FRAMES_SEARCHED: usize = 32;
/// Name of the guest's script. Only its frames are reported.
pub(super) const SCRIPT_NAME: &str = "agent.ts";
const CALL: &str = "airlock.call";
const POSITION: &str = "airlock.position";

/// Origin of a thrown value.
#[derive(Default)]
pub(super) struct Origin {
    pub(super) at: Option<Position>,
    pub(super) stack: Vec<(String, u32, u32)>,
    /// The call of which this object is the failure.
    pub(super) call: Option<u32>,
}

/// Determines where a value was thrown. Runs no guest code.
pub(super) fn origin<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    thrown: v8::Local<'s, v8::Value>,
) -> Origin {
    let call = mark_of(scope, thrown, CALL).map(|call| call as u32);
    let message = v8::Exception::create_message(scope, thrown);
    let stack = message
        .get_stack_trace(scope)
        .map(|stack| frames(scope, stack, FRAMES_MAX))
        .unwrap_or_default();
    let own = message.get_script_resource_name(scope).is_some_and(|name| is_guest(scope, name));
    let at = if own {
        let line = message.get_line_number(scope).unwrap_or(1) as u32;
        // Columns before the caller's first character belong to our wrapper and are negative.
        Some((line, (message.get_start_column() as i32).max(0) as u32 + 1))
    } else {
        stack.first().map(|frame| (frame.1, frame.2))
    };
    let at = at.or_else(|| mark_of(scope, thrown, POSITION).map(unpack));
    Origin { at, stack, call }
}

/// Returns the position in the guest's source at which the running native function was called.
pub(super) fn caller(scope: &mut v8::PinScope<'_, '_>) -> Option<Position> {
    let stack = v8::StackTrace::current_stack_trace(scope, FRAMES_SEARCHED)?;
    frames(scope, stack, 1).first().map(|frame| (frame.1, frame.2))
}

/// Marks an error object as the failure of a call, in a private property that no guest can see or
/// copy.
pub(super) fn mark<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Object>,
    call: u32,
    at: Option<Position>,
) {
    let set = |name: &str, value: f64| {
        let Some(key) = private(scope, name) else { return };
        let value = v8::Number::new(scope, value);
        error.set_private(scope, key, value.into());
    };
    set(CALL, f64::from(call));
    if let Some(at) = at {
        set(POSITION, pack(at));
    }
}

/// Formats a position as stack traces do.
pub(super) fn position_text(prepared: &Prepared, (line, column): Position) -> String {
    let (line, column) = prepared.position(line, column);
    format!("{}:{line}:{column}", prepared.name)
}

fn mark_of<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    name: &str,
) -> Option<f64> {
    let object = v8::Local::<v8::Object>::try_from(value).ok()?;
    let key = private(scope, name)?;
    let value = object.get_private(scope, key)?;
    v8::Local::<v8::Number>::try_from(value).ok().map(|number| number.value())
}

fn private<'s>(scope: &v8::PinScope<'s, '_>, name: &str) -> Option<v8::Local<'s, v8::Private>> {
    let name = v8::String::new(scope, name)?;
    Some(v8::Private::for_api(scope, Some(name)))
}

// A position as one number: a double holds 2^20 columns and 2^32 lines exactly.
fn pack((line, column): Position) -> f64 {
    f64::from(line) * 1_048_576.0 + f64::from(column.min(1_048_575))
}

fn unpack(packed: f64) -> Position {
    ((packed / 1_048_576.0) as u32, (packed % 1_048_576.0) as u32)
}

fn is_guest<'s>(scope: &v8::PinScope<'s, '_>, name: v8::Local<'s, v8::Value>) -> bool {
    v8::Local::<v8::String>::try_from(name)
        .is_ok_and(|name| name.to_rust_string_lossy(scope) == SCRIPT_NAME)
}

fn frames<'s>(
    scope: &v8::PinScope<'s, '_>,
    stack: v8::Local<'s, v8::StackTrace>,
    max: usize,
) -> Vec<(String, u32, u32)> {
    let mut frames = Vec::new();
    for index in 0..stack.get_frame_count() {
        let Some(frame) = stack.get_frame(scope, index) else { break };
        if !frame.get_script_name(scope).is_some_and(|name| is_guest(scope, name.into())) {
            continue;
        }
        let function = frame
            .get_function_name(scope)
            .map(|name| name.to_rust_string_lossy(scope))
            .unwrap_or_default();
        let column = (frame.get_column() as i32).max(1) as u32;
        frames.push((function, frame.get_line_number() as u32, column));
        if frames.len() == max {
            break;
        }
    }
    frames
}
