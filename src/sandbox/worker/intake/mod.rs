//! Takes what an agent sent and makes it a script that V8 runs, with every position still the
//! agent's own.
//!
//! Fence off, wrapped into a called async function (so `return` and `await` work), shaped (a lone
//! function is called, a trailing expression returned), types off. Text in, text out: knows neither
//! V8 nor frames, reads nothing, runs nothing.

mod erase;
mod fence;
mod frame;
mod hint;
mod nesting;
mod parse;
mod shape;
// They run what was prepared.
#[cfg(all(test, feature = "v8"))]
mod tests;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::model::{ErrorCode, TaskError};
use parse::Fault;
use text::{Lines, Place, Shift};

pub use nesting::{BRACKETS_MAX, LINKS_MAX};

/// The largest program in bytes.
pub const CODE_BYTES_MAX: usize = 256 * 1024;
/// CPU time that [`prepare`] may take, in milliseconds: a parser that tries several readings of
/// nested text can take minutes for some, and no bound on the text is both tight enough and fair.
/// Honest code of [`CODE_BYTES_MAX`] takes a twentieth of it. Whoever calls `prepare` watches the
/// clock: it cannot be interrupted.
pub const CPU_MS_MAX: u64 = 2_000;
/// The name of the agent's program in stack traces.
pub const SCRIPT_NAME: &str = "agent.ts";
/// Bytes of an error's message that are kept.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Frames of an error's stack that are kept.
pub const STACK_FRAMES_MAX: usize = 10;

/// Stack for parser and transformation, in bytes: what [`BRACKETS_MAX`] and [`LINKS_MAX`] need in
/// an unoptimised build, doubled. Only touched pages cost memory, but a stack of its own costs
/// every program 100 microseconds.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Programs up to this size, in bytes, that nest no deeper than [`SHALLOW_PEAK_MAX`] are parsed on
/// the caller's stack.
const SMALL_CODE_BYTES_MAX: usize = 4 * 1024;
/// Open brackets and operators of such a program.
const SHALLOW_PEAK_MAX: usize = 64;
/// What has to be left of the caller's stack for that, in bytes.
const SMALL_STACK_BYTES: usize = 2 * 1024 * 1024;

/// A program ready to be compiled as a classic script. Its completion value is the promise of the
/// program's value.
#[derive(Debug)]
pub struct Prepared {
    /// The script.
    pub script: String,
    /// Its name, [`SCRIPT_NAME`].
    pub name: &'static str,
    /// For the script's origin: what V8 adds to columns of the first line.
    pub column_offset: i32,
    /// For the script's origin: what V8 adds to lines.
    pub line_offset: i32,
    /// What the agent sent, without a byte order mark.
    source: String,
    lines: Lines,
    origin: Origin,
}

/// How positions of the script lead back.
#[derive(Debug)]
struct Origin {
    /// Insertions in the edited program.
    shifts: Vec<Shift>,
    /// Present when the script is not the edited program with blanks for types; with it the text
    /// that the map leads to.
    map: Option<(swc_sourcemap::SourceMap, String)>,
}

/// Makes a program ready to run.
///
/// # Errors
/// `syntax_error` with the place in the agent's own text when it does not parse or uses what cannot
/// run here; `code_limit` when it is over [`CODE_BYTES_MAX`], [`BRACKETS_MAX`] or [`LINKS_MAX`].
#[expect(
    clippy::result_large_err,
    reason = "an error ends the run: its size does not matter, its form is that of the answer"
)]
pub fn prepare(code: &str) -> Result<Prepared, TaskError> {
    if code.len() > CODE_BYTES_MAX {
        let message =
            format!("the code is {} bytes long, allowed are {CODE_BYTES_MAX}", code.len());
        return Err(frame::limit_error(message));
    }
    let source = fence::without_mark(code);
    let lines = Lines::new(source);
    let program = fence::program(source);
    let peak = match nesting::check_text(&program) {
        Ok(peak) => peak,
        Err(too_deep) => return Err(frame::too_deep(source, &lines, too_deep)),
    };
    let is_small = program.len() <= SMALL_CODE_BYTES_MAX && peak <= SHALLOW_PEAK_MAX;
    let needed = if is_small { SMALL_STACK_BYTES } else { STACK_BYTES };
    // A parser that panics on hostile text must cost its sender a syntax error, not the process.
    let built = stacker::maybe_grow(needed, STACK_BYTES, || {
        catch_unwind(AssertUnwindSafe(|| build(&program)))
    });
    match built {
        Ok(Ok(built)) => Ok(built.into_prepared(source, lines)),
        Ok(Err(fault)) => Err(frame::syntax_error(source, &lines, fault)),
        Err(_) => Err(frame::syntax_error(
            source,
            &lines,
            Fault { message: "the parser failed on this code".into(), at: 0, hint: None },
        )),
    }
}

/// The error of code that takes longer than [`CPU_MS_MAX`].
pub fn too_slow() -> TaskError {
    let hint = Some(hint::SPLIT_UP.to_owned());
    TaskError {
        hint,
        ..frame::limit_error(format!("the code takes over {CPU_MS_MAX} ms of CPU time to parse"))
    }
}

impl Prepared {
    /// The agent's own place for one that V8 reports, both from 1. One outside the agent's text
    /// comes to its nearest line.
    pub fn position(&self, line: u32, column: u32) -> (u32, u32) {
        match self.place((line, column)) {
            Some(place) => place,
            None if line == 0 => (1, 1),
            None => self.lines.place(&self.source, self.source.len()),
        }
    }

    /// The error of a guest, as its agent reads it: with place, the lines around it, a stack of the
    /// agent's own functions and a hint where a name is known not to exist. Positions are V8's,
    /// from 1; the code is `uncaught_exception`.
    pub fn describe(
        &self,
        name: &str,
        message: &str,
        at: Option<(u32, u32)>,
        stack: &[(String, u32, u32)],
    ) -> TaskError {
        let frames: Vec<(&str, Place)> = stack
            .iter()
            .filter_map(|(function, line, column)| {
                Some((function.as_str(), self.place((*line, *column))?))
            })
            .take(STACK_FRAMES_MAX)
            .collect();
        let at = at
            .and_then(|place| self.place(place))
            .or_else(|| frames.first().map(|(_, place)| *place));
        TaskError {
            name: frame::capped(name, 256),
            message: frame::capped(message, MESSAGE_BYTES_MAX),
            code: ErrorCode::UncaughtException.into(),
            line: at.map(|(line, _)| line),
            column: at.map(|(_, column)| column),
            frame: at.and_then(|place| frame::excerpt(&self.source, &self.lines, place)),
            stack: frame::stack_text(name, message, &frames),
            hint: hint::for_error(name, message).map(str::to_owned),
        }
    }

    /// None for a place that is not in the agent's own text: our wrapper.
    fn place(&self, place: Place) -> Option<Place> {
        let place = match &self.origin.map {
            None => place,
            Some((map, wrapped)) => {
                // A raw U+2028 ends a line for V8 and not for the map, on both sides.
                let offset = Lines::new(&self.script).offset(&self.script, place);
                let (line, column) = Lines::of_map(&self.script).place(&self.script, offset);
                let token = map.lookup_token(line - 1, column - 1)?;
                let offset = Lines::of_map(wrapped)
                    .offset(wrapped, (token.get_src_line() + 1, token.get_src_col() + 1));
                let (line, column) = Lines::new(wrapped).place(wrapped, offset);
                (line - 1, column)
            }
        };
        let (line, column) = text::unshift(&self.origin.shifts, (place.0, place.1.max(1)));
        (1..=self.lines.count()).contains(&line).then_some((line, column))
    }
}

/// The program wrapped, shaped and without types.
struct Built {
    script: String,
    wrapped: String,
    map: Option<swc_sourcemap::SourceMap>,
    shifts: Vec<Shift>,
}

impl Built {
    fn into_prepared(self, source: &str, lines: Lines) -> Prepared {
        Prepared {
            script: self.script,
            name: SCRIPT_NAME,
            column_offset: 0,
            // The wrapper's line before the agent's first one; a map knows of it by itself.
            line_offset: if self.map.is_some() { 0 } else { -1 },
            source: source.to_owned(),
            lines,
            origin: Origin { shifts: self.shifts, map: self.map.map(|map| (map, self.wrapped)) },
        }
    }
}

fn build(program: &str) -> Result<Built, Fault> {
    let fault = match parse::body(program, "", "") {
        Ok(body) => {
            let object = shape::is_lone_block(&body).then(|| expression(program)).flatten();
            return object.unwrap_or_else(|| {
                let shape = shape::of_body(&body);
                let (edited, shifts) = shape.edits.apply(program);
                finish(&edited, "", &shape.close, shifts)
            });
        }
        Err(fault) => fault,
    };
    if let Some(built) = expression(program) {
        return built;
    }
    match parse::module(program, false) {
        (Some(module), faults) if faults.is_empty() && parse::has_module_items(&module) => {
            from_module(program, &module)
        }
        (_, faults) => Err(explained(program, faults.into_iter().next().unwrap_or(fault))),
    }
}

/// A program that is one expression where a statement cannot be: an object, an anonymous function.
fn expression(program: &str) -> Option<Result<Built, Fault>> {
    let trimmed = program.trim_end().trim_end_matches(';');
    let program = format!("{trimmed}{}", text::blank(&program[trimmed.len()..]));
    let body = parse::body(&program, "return (", ")").ok()?;
    let close = shape::of_expression(&body, &program)?;
    Some(finish(&program, "return (", close, Vec::new()))
}

/// A program with `export`: once without it, it is shaped like any other unless it had a default.
fn from_module(program: &str, module: &swc_core::ecma::ast::Module) -> Result<Built, Fault> {
    let shape = shape::of_module(module)?;
    let (edited, shifts) = shape.edits.apply(program);
    if !shifts.is_empty() || !shape.close.is_empty() {
        parse::body(&edited, "", &shape.close)?;
        return finish(&edited, "", &shape.close, shifts);
    }
    let shape = shape::of_body(&parse::body(&edited, "", "")?);
    let (edited, shifts) = shape.edits.apply(&edited);
    finish(&edited, "", &shape.close, shifts)
}

fn finish(program: &str, open: &str, close: &str, shifts: Vec<Shift>) -> Result<Built, Fault> {
    let wrapped = parse::wrap(program, open, close);
    let before = wrapped.find('\n').map_or(0, |at| at + 1);
    let erased = erase::erase(&wrapped).map_err(|refused| {
        let at = refused.at.saturating_sub(before).min(program.len());
        Fault { message: refused.message, at, hint: None }
    })?;
    Ok(Built { script: erased.script, map: erased.map, wrapped, shifts })
}

/// A syntax error with a hint, where the cause can be told.
fn explained(program: &str, fault: Fault) -> Fault {
    if fault.hint.is_some() {
        return fault;
    }
    if program.contains("</") || program.contains("/>") {
        let (module, faults) = parse::module(program, true);
        if module.is_some() && faults.is_empty() {
            return Fault {
                message: "JSX is not available".into(),
                hint: Some(hint::JSX),
                ..fault
            };
        }
    }
    Fault { hint: hint::for_syntax(&fault.message, program), ..fault }
}
