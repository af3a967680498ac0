//! The native functions that `runtime-js/` calls. Only the modules of the snapshot hold them;
//! guests never do.

use std::{rc::Rc, sync::OnceLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deno_core::{OpDecl, OpState, op2, v8};

use super::state::GuestState;
use crate::sandbox::{
    protocol::level_from_u8,
    worker::{messages, web},
};

deno_core::extension!(
    airlock,
    ops = [
        op_base64,
        op_call,
        op_encode_bytes_max,
        op_kind,
        op_log,
        op_queue_microtask,
        op_timer_clear,
        op_timer_start,
        op_warn
    ],
    middleware = keep_only_ours,
);

/// Native functions of deno_core that our own modules may use. All others are disabled, although no
/// guest can reach any: some print, some read files, one ends the process.
const BUILTIN: &[&str] = &[
    "op_get_constructor_name",
    "op_get_ext_import_meta_proto",
    "op_get_extras_binding_object",
    "op_get_promise_details",
    "op_get_proxy_details",
    "op_set_captured_bootstrap",
    "op_structured_clone",
];

fn keep_only_ours(decl: OpDecl) -> OpDecl {
    static OURS: OnceLock<Vec<&'static str>> = OnceLock::new();
    let ours = OURS.get_or_init(|| {
        let extensions = [web::airlock_web::init(), airlock::init()];
        extensions.iter().flat_map(|own| own.ops.iter()).map(|own| own.name).collect()
    });
    if BUILTIN.contains(&decl.name) || decl.name.starts_with("op_is_") || ours.contains(&decl.name)
    {
        decl
    } else {
        // An asynchronous one would keep deno_core's event loop alive in the snapshot.
        let mut disabled = decl.disable();
        disabled.is_async = false;
        disabled
    }
}

fn guest(state: &OpState) -> Rc<GuestState> {
    state.borrow::<Rc<GuestState>>().clone()
}

fn string<'s>(scope: &v8::PinScope<'s, '_>, text: &str) -> v8::Local<'s, v8::Value> {
    v8::String::new(scope, text).map_or_else(|| v8::null(scope).into(), Into::into)
}

/// Issues a call. Returns its promise, or the reason for which it cannot be issued.
#[op2]
fn op_call<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &mut OpState,
    #[string] path: String,
    #[string] args: String,
) -> v8::Local<'s, v8::Value> {
    let guest = guest(state);
    let args_max = guest.limits.args_bytes_max;
    if args.len() as u64 > args_max {
        return string(scope, &messages::args_too_large(&path, args.len(), args_max));
    }
    let Some(resolver) = v8::PromiseResolver::new(scope) else {
        return v8::undefined(scope).into();
    };
    let promise = resolver.get_promise(scope);
    match guest.issue(scope, path, args, resolver) {
        Ok(()) => promise.into(),
        Err(error) => string(scope, &error.to_string()),
    }
}

/// Returns the limit on the JSON of a call's arguments, or of the result, in bytes.
#[op2(fast)]
fn op_encode_bytes_max(state: &mut OpState, arguments: bool) -> f64 {
    let limits = &guest(state).limits;
    (if arguments { limits.args_bytes_max } else { limits.result_bytes_max }) as f64
}

/// Returns the kind of an object by the numbers in `encode.ts`; 0 for a plain object.
#[op2(fast)]
fn op_kind(value: v8::Local<v8::Value>) -> u32 {
    let value = &*value;
    if value.is_proxy() {
        0
    } else if value.is_date() {
        1
    } else if value.is_map() {
        2
    } else if value.is_set() {
        3
    } else if value.is_native_error() {
        4
    } else if value.is_array_buffer() || value.is_array_buffer_view() {
        5
    } else if value.is_reg_exp() {
        6
    } else if value.is_number_object()
        || value.is_string_object()
        || value.is_boolean_object()
        || value.is_big_int_object()
        || value.is_symbol_object()
    {
        7
    } else if value.is_promise() {
        8
    } else if value.is_weak_map() || value.is_weak_set() {
        9
    } else {
        0
    }
}

/// Returns `[type, base64]` of an array buffer or a view on one; null if the base64 would be longer
/// than `bytes_max`.
#[op2]
fn op_base64<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    bytes_max: f64,
) -> v8::Local<'s, v8::Value> {
    let (name, bytes) = if let Ok(buffer) = v8::Local::<v8::ArrayBuffer>::try_from(value) {
        let Some(view) = v8::Uint8Array::new(scope, buffer, 0, buffer.byte_length()) else {
            return v8::null(scope).into();
        };
        ("ArrayBuffer", view.into())
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(value) {
        (view_name(value), view)
    } else {
        return v8::null(scope).into();
    };
    if bytes.byte_length() as f64 * 4.0 / 3.0 > bytes_max {
        return v8::null(scope).into();
    }
    let mut content = vec![0; bytes.byte_length()];
    bytes.copy_contents(&mut content);
    let items = [string(scope, name), string(scope, &STANDARD.encode(content))];
    v8::Array::new_with_elements(scope, &items).into()
}

fn view_name(value: v8::Local<v8::Value>) -> &'static str {
    let names: [(bool, &'static str); 12] = [
        (value.is_uint8_array(), "Uint8Array"),
        (value.is_uint8_clamped_array(), "Uint8ClampedArray"),
        (value.is_int8_array(), "Int8Array"),
        (value.is_uint16_array(), "Uint16Array"),
        (value.is_int16_array(), "Int16Array"),
        (value.is_uint32_array(), "Uint32Array"),
        (value.is_int32_array(), "Int32Array"),
        (value.is_float32_array(), "Float32Array"),
        (value.is_float64_array(), "Float64Array"),
        (value.is_big_int64_array(), "BigInt64Array"),
        (value.is_big_uint64_array(), "BigUint64Array"),
        (value.is_data_view(), "DataView"),
    ];
    names.into_iter().find(|(is, _)| *is).map_or("ArrayBufferView", |(_, name)| name)
}

/// Writes one line of console output. Levels: 0 debug, 1 info, 2 warn, 3 error.
#[op2(fast)]
fn op_log(state: &mut OpState, level: u32, #[string] line: String) {
    let level =
        u8::try_from(level).ok().and_then(level_from_u8).unwrap_or(crate::model::LogLevel::Info);
    guest(state).log(level, line);
}

/// Adds a warning for the caller.
#[op2(fast)]
fn op_warn(state: &mut OpState, #[string] warning: String) {
    guest(state).warn(warning);
}

/// Queues a microtask. An exception in it reaches the engine as an uncaught error.
#[op2(fast)]
fn op_queue_microtask(scope: &mut v8::PinScope, function: v8::Local<v8::Function>) {
    scope.enqueue_microtask(function);
}

/// Starts a timer. Returns its number, or the reason for which it cannot be started.
#[op2]
fn op_timer_start<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &mut OpState,
    ms: f64,
    repeat: bool,
) -> v8::Local<'s, v8::Value> {
    let guest = guest(state);
    let delay = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
    let now = guest.elapsed();
    match guest.timers.borrow_mut().start(now, delay, repeat) {
        Some(id) => v8::Integer::new_from_unsigned(scope, id).into(),
        None => string(scope, &messages::too_many_timers(guest.limits.timers_max)),
    }
}

/// Stops a timer.
#[op2(fast)]
fn op_timer_clear(state: &mut OpState, id: u32) {
    guest(state).timers.borrow_mut().clear(id);
}
