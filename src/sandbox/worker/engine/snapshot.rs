//! The startup snapshot: `runtime-js/` and deno_core's own JavaScript, run once and serialised.
//!
//! Made in a short-lived process of its own: a process that made a snapshot must not load one, and
//! one that loaded a snapshot must never load another.

use std::sync::Arc;

use deno_core::{Extension, ExtensionFileSource, JsRuntimeForSnapshot, RuntimeOptions, v8};
use swc_core::common::{SourceMap, errors::Handler, sync::Lrc};

use super::{
    ops,
    start::{EngineError, start_v8},
};
use crate::sandbox::worker::{host_functions, web};

macro_rules! module {
    ($file:literal) => {
        (
            concat!("ext:airlock/", $file),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime-js/", $file)),
        )
    };
}

/// Our modules and their source; they import each other. Part of the binary, because the machine
/// that runs it has no source tree.
const MODULES: &[(&str, &str)] = &[
    module!("encode.ts"),
    module!("errors.ts"),
    module!("timers.ts"),
    module!("tools.ts"),
    module!("install.ts"),
    module!("bootstrap.ts"),
];
/// The module that is generated, under the name that the others import.
const HOST_FUNCTIONS: &str = "ext:airlock/host_functions.ts";
/// Runs before deno_core's own JavaScript.
const PRELUDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime-js/prelude.js"));
/// The module that imports the others.
const ENTRY: &str = "ext:airlock/bootstrap.ts";

/// Makes the snapshot. Call it once per process, before any other use of the engine.
pub(in crate::sandbox::worker) fn bake() -> Result<Box<[u8]>, EngineError> {
    start_v8(true)?;
    let mut extensions = extensions();
    if let Some(own) = extensions.last_mut() {
        let generated = host_functions::module();
        own.esm_files = MODULES
            .iter()
            .chain(web::MODULES)
            .chain([&(HOST_FUNCTIONS, generated.as_str())])
            .map(|(name, source)| load(name, source))
            .collect::<Result<Vec<_>, _>>()?
            .into();
        own.esm_entry_point = Some(ENTRY);
        own.global_object_middleware = Some(run_prelude);
    }
    JsRuntimeForSnapshot::try_new(RuntimeOptions { extensions, ..RuntimeOptions::default() })
        .map(JsRuntimeForSnapshot::snapshot)
        .map_err(|error| EngineError::Snapshot(error.to_string()))
}

/// Runs the prelude in the empty context, before any code of deno_core.
fn run_prelude<'s>(scope: &mut v8::PinScope<'s, '_>, _global: v8::Local<'s, v8::Object>) {
    let script =
        v8::String::new(scope, PRELUDE).and_then(|source| v8::Script::compile(scope, source, None));
    script.and_then(|script| script.run(scope)).expect("every snapshot tests the prelude");
}

/// Returns the extensions in the order that the snapshot and every guest share: V8 identifies
/// native functions by their position in it.
pub(super) fn extensions() -> Vec<Extension> {
    vec![web::airlock_web::init(), ops::airlock::init()]
}

/// Converts a module to JavaScript. Types become blanks, so positions stay.
fn load(name: &'static str, source: &str) -> Result<ExtensionFileSource, EngineError> {
    let fault = |fault: &str| EngineError::Snapshot(format!("`{name}`: {fault}"));
    if !source.is_ascii() {
        // V8 shares one-byte sources between isolates and would misread anything else.
        return Err(fault("it must be ASCII"));
    }
    let sources: Lrc<SourceMap> = Lrc::default();
    let errors = Handler::with_emitter_writer(Box::new(std::io::stderr()), Some(sources.clone()));
    let options =
        swc_ts_fast_strip::Options { module: Some(true), ..swc_ts_fast_strip::Options::default() };
    let stripped = swc_ts_fast_strip::operate(&sources, &errors, source.to_owned(), options)
        .map_err(|error| fault(&format!("{error:?}")))?;
    Ok(ExtensionFileSource::new_computed(name, Arc::from(stripped.code)))
}
