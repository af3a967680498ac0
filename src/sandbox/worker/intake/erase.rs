//! Types off: in place where the form allows it, so that every position stays; otherwise by a
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

/// What is left when the types are gone.
pub(super) struct Erased {
    pub(super) script: String,
    /// From the script's positions to those of the text that was given; none when they are the
    /// same.
    pub(super) map: Option<swc_sourcemap::SourceMap>,
}

/// A form that cannot be turned into JavaScript: swc's message and the byte offset in the given
/// text.
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) at: usize,
}

/// Takes the types off a script that is known to parse.
pub(super) fn erase(script: &str) -> Result<Erased, Refused> {
    if let Ok(script) = run(script, Mode::StripOnly) {
        return Ok(script);
    }
    GLOBALS.set(&Globals::new(), || run(script, Mode::Transform))
}

fn run(script: &str, mode: Mode) -> Result<Erased, Refused> {
    let found = First::default();
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
    let refused = |message: String| found.take().unwrap_or(Refused { message, at: 0 });
    let output = operate(&cm, &handler, script.to_owned(), options)
        .map_err(|error| refused(error.message))?;
    let map =
        output.map.map(|map| swc_sourcemap::SourceMap::from_slice(map.as_bytes())).transpose();
    Ok(Erased { script: output.code, map: map.map_err(|error| refused(error.to_string()))? })
}

/// Keeps the first error that swc reports.
#[derive(Clone, Default)]
struct First(Arc<Mutex<Option<Refused>>>);

impl First {
    fn take(&self) -> Option<Refused> {
        self.0.lock().take()
    }
}

impl Emitter for First {
    fn emit(&mut self, diagnostic: &mut DiagnosticBuilder<'_>) {
        let at = diagnostic.span.primary_span().map_or(0, |span| parse::place(span.lo));
        let mut first = self.0.lock();
        first.get_or_insert(Refused { message: diagnostic.message(), at });
    }
}
