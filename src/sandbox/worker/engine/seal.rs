//! Seals a fresh isolate before a guest may use it: removes everything of deno_core and every way
//! to create code from strings, and installs our own embedder callbacks.
//!
//! Globals behind flags appear when the context is created, which would undo a deletion in the
//! snapshot; so they are deleted here, on every start.

use std::rc::Rc;

use deno_core::{JsRuntime, v8};

use super::{memory, state::GuestState, thrown::SCRIPT_NAME};
use crate::sandbox::worker::messages;

/// Globals that no guest may find. Some do not exist in every build.
const REMOVED: &[&str] = &[
    "Deno",
    "__bootstrap",
    "__airlock",
    "WebAssembly",
    "SharedArrayBuffer",
    "Atomics",
    "Temporal",
    "eval",
    "ShadowRealm",
    "__isolate",
];
/// Functions of `runtime-js/bootstrap.ts` that the engine calls.
pub(super) struct Hooks {
    pub(super) explain: v8::Global<v8::Function>,
    pub(super) failure: v8::Global<v8::Function>,
    pub(super) fire: v8::Global<v8::Function>,
    pub(super) result: v8::Global<v8::Function>,
}

/// Seals the isolate. Returns `None` if the snapshot does not hold our bootstrap.
pub(super) fn seal(runtime: &mut JsRuntime, state: &Rc<GuestState>) -> Option<Hooks> {
    let hooks = {
        deno_core::scope!(scope, runtime);
        let context = scope.get_current_context();
        context.set_allow_generation_from_strings(false);
        let global = context.global(scope);
        let ours = property(scope, global, "__airlock")?;
        let hooks = Hooks {
            explain: hook(scope, ours, "explain")?,
            failure: hook(scope, ours, "failure")?,
            fire: hook(scope, ours, "fire")?,
            result: hook(scope, ours, "result")?,
        };
        for name in REMOVED {
            let key = v8::String::new(scope, name)?;
            global.delete(scope, key.into())?;
        }
        hooks
    };
    let isolate = runtime.v8_isolate();
    isolate.set_slot(state.clone());
    isolate.set_promise_reject_callback(promise_rejected);
    isolate.set_prepare_stack_trace_callback(stack_text);
    isolate.set_host_import_module_dynamically_callback(refuse_import);
    isolate.set_host_import_module_with_phase_dynamically_callback(refuse_import_with_phase);
    isolate.add_message_listener(uncaught);
    memory::on_out_of_memory(isolate);
    isolate.add_gc_prologue_callback(measure_heap, std::ptr::null_mut(), v8::GCType::kGCTypeAll);
    Some(hooks)
}

fn property<'s>(
    scope: &v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    name: &str,
) -> Option<v8::Local<'s, v8::Object>> {
    let key = v8::String::new(scope, name)?;
    object.get(scope, key.into())?.try_into().ok()
}

fn hook<'s>(
    scope: &v8::PinScope<'s, '_>,
    object: v8::Local<'s, v8::Object>,
    name: &str,
) -> Option<v8::Global<v8::Function>> {
    let function: v8::Local<v8::Function> = property(scope, object, name)?.try_into().ok()?;
    Some(v8::Global::new(scope, function))
}

fn state_of(isolate: &v8::Isolate) -> Option<Rc<GuestState>> {
    isolate.get_slot::<Rc<GuestState>>().cloned()
}

unsafe extern "C" fn promise_rejected(message: v8::PromiseRejectMessage) {
    // SAFETY: V8 gives a message that is valid for this call.
    v8::callback_scope!(unsafe scope, &message);
    let Some(state) = state_of(scope) else { return };
    let promise = v8::Global::new(scope, message.get_promise());
    match message.get_event() {
        v8::PromiseRejectEvent::PromiseRejectWithNoHandler => {
            let reason = message.get_value().unwrap_or_else(|| v8::undefined(scope).into());
            let reason = v8::Global::new(scope, reason);
            state.rejections.borrow_mut().add(promise, reason);
        }
        v8::PromiseRejectEvent::PromiseHandlerAddedAfterReject => {
            state.rejections.borrow_mut().handled(&promise)
        }
        v8::PromiseRejectEvent::PromiseRejectAfterResolved
        | v8::PromiseRejectEvent::PromiseResolveAfterResolved => {}
    }
}

/// Keeps an error that no guest code could catch: thrown by a microtask.
unsafe extern "C" fn uncaught(message: v8::Local<v8::Message>, exception: v8::Local<v8::Value>) {
    // SAFETY: V8 gives a message that is valid for this call.
    v8::callback_scope!(unsafe scope, message);
    let Some(state) = state_of(scope) else { return };
    let mut first = state.uncaught.borrow_mut();
    if first.is_none() {
        *first = Some(v8::Global::new(scope, exception));
    }
}

/// Rejects `import.source()` and `import.defer()` in guest code.
fn refuse_import_with_phase<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    options: v8::Local<'s, v8::Data>,
    from: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    _phase: v8::ModuleImportPhase,
    attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    refuse_import(scope, options, from, specifier, attributes)
}

/// Rejects `import()` in guest code.
fn refuse_import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _options: v8::Local<'s, v8::Data>,
    _from: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    _attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    let name: String = specifier.to_rust_string_lossy(scope).chars().take(100).collect();
    let message = v8::String::new(scope, &messages::import_refused(&name))?;
    let error = v8::Exception::type_error(scope, message);
    let resolver = v8::PromiseResolver::new(scope)?;
    resolver.reject(scope, error);
    Some(resolver.get_promise(scope))
}

/// Returns the `stack` of an error for guest code: name, message and the guest's own frames, in
/// positions of the caller's source. `Error.prepareStackTrace` is not called, and call site objects
/// never reach a guest.
fn stack_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    // Name and message without running guest code.
    let message =
        v8::Exception::create_message(scope, error).get(scope).to_rust_string_lossy(scope);
    let message = message.strip_prefix("Uncaught ").unwrap_or(&message).to_owned();
    let sites: Vec<_> = (0..sites.length())
        .map_while(|index| site(scope, sites.get_index(scope, index)?))
        .flatten()
        .collect();
    let prepared = state_of(scope).and_then(|state| state.prepared.borrow().clone());
    let (name, rest) = message.split_once(": ").unwrap_or((&message, ""));
    let text = prepared
        .and_then(|prepared| prepared.describe(name, rest, None, &sites).stack)
        .unwrap_or(message);
    v8::String::new(scope, &text).map_or_else(|| v8::undefined(scope).into(), Into::into)
}

/// Returns function, line and column of a frame; `Some(None)` for frames outside the guest's
/// script.
fn site<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    site: v8::Local<'s, v8::Value>,
) -> Option<Option<(String, u32, u32)>> {
    let site = v8::Local::<v8::Object>::try_from(site).ok()?;
    let get = |method: &str| {
        let key = v8::String::new(scope, method)?;
        let function: v8::Local<v8::Function> = site.get(scope, key.into())?.try_into().ok()?;
        function.call(scope, site.into(), &[]).filter(|value| !value.is_null_or_undefined())
    };
    let file = get("getFileName").map(|name| name.to_rust_string_lossy(scope));
    if file.as_deref() != Some(SCRIPT_NAME) {
        return Some(None);
    }
    let function =
        get("getFunctionName").map(|name| name.to_rust_string_lossy(scope)).unwrap_or_default();
    let number = |method| get(method).and_then(|value| value.uint32_value(scope)).unwrap_or(1);
    Some(Some((function, number("getLineNumber"), number("getColumnNumber"))))
}

unsafe extern "C" fn measure_heap(
    mut isolate: v8::UnsafeRawIsolatePtr,
    _kind: v8::GCType,
    _flags: v8::GCCallbackFlags,
    _data: *mut std::ffi::c_void,
) {
    // SAFETY: V8 calls this on the isolate's own thread while the isolate lives.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut_unchecked(&mut isolate) };
    if let Some(state) = state_of(isolate) {
        state.measure(isolate);
    }
}
