//! Strips types: in place if the syntax allows it, so that every position stays; otherwise by a
//! transformation with a source map.

use std::sync::Arc;

use parking_lot::Mutex;
use swc_core::common::{
    GLOBALS, Globals, SourceMap,
    errors::{DiagnosticBuilder, Emitter, Handler},
    sync::Lrc,
};
use swc_ts_fast_strip::{Mode, Options, TransformConfig, operate};

use super::parse;

/// A script without types.
pub(super) struct Erased {
    pub(super) script: String,
    /// Maps positions of the script to those of the input; `None` if they are identical.
    pub(super) map: Option<swc_sourcemap::SourceMap>,
}

/// Syntax that cannot be converted to JavaScript: swc's message and the byte offset in the input.
pub(super) struct Unsupported {
    pub(super) message: String,
    pub(super) at: usize,
}

/// Strips the types of a script that is known to parse.
pub(super) fn erase(script: &str) -> Result<Erased, Unsupported> {
    if let Ok(script) = run(script, Mode::StripOnly) {
        return Ok(script);
    }
    GLOBALS.set(&Globals::new(), || run(script, Mode::Transform))
}

fn run(script: &str, mode: Mode) -> Result<Erased, Unsupported> {
    let found = FirstError::default();
    let handler = Handler::with_emitter(false, false, Box::new(found.clone()));
    let cm: Lrc<SourceMap> = Lrc::default();
    let options = Options {
        module: Some(false),
        parser: parse::typescript(),
        source_map: matches!(mode, Mode::Transform),
        transform: Some(TransformConfig::default()),
        mode,
        ..Options::default()
    };
    let unsupported = |message: String| found.take().unwrap_or(Unsupported { message, at: 0 });
    let output = operate(&cm, &handler, script.to_owned(), options)
        .map_err(|error| unsupported(error.message))?;
    let map =
        output.map.map(|map| swc_sourcemap::SourceMap::from_slice(map.as_bytes())).transpose();
    Ok(Erased { script: output.code, map: map.map_err(|error| unsupported(error.to_string()))? })
}

/// Keeps the first error that swc reports.
#[derive(Clone, Default)]
struct FirstError(Arc<Mutex<Option<Unsupported>>>);

impl FirstError {
    fn take(&self) -> Option<Unsupported> {
        self.0.lock().take()
    }
}

impl Emitter for FirstError {
    fn emit(&mut self, diagnostic: &mut DiagnosticBuilder<'_>) {
        let at = diagnostic.span.primary_span().map_or(0, |span| parse::offset(span.lo));
        let mut first = self.0.lock();
        first.get_or_insert(Unsupported { message: diagnostic.message(), at });
    }
}
