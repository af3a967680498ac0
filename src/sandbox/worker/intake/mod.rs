//! Converts an agent's program to a script for V8 and keeps every position traceable to the agent's
//! source.
//!
//! Removes a Markdown fence, wraps the program into an async function call (so `return` and `await`
//! work), shapes it (calls a lone function, returns a trailing expression) and strips types. Source
//! in, source out: knows neither an engine nor frames, reads nothing, runs nothing.

mod erase;
mod fence;
mod hint;
mod nesting;
mod parse;
mod report;
mod shape;
// The tests run the prepared scripts.
#[cfg(all(test, feature = "v8"))]
mod tests;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::model::{ErrorCode, TaskError};
use parse::Fault;
use text::{Lines, Position, Shift};

pub use nesting::{BRACKETS_MAX, OPERATORS_MAX};
pub use report::{MESSAGE_BYTES_MAX, SCRIPT_NAME};

/// Limit on the size of a program in bytes.
pub const CODE_BYTES_MAX: usize = 256 * 1024;
/// Limit on the CPU time of [`prepare`] in milliseconds. A backtracking parser can take minutes for
/// some nested input, and no limit on the input is both tight enough and fair. Ordinary code of
/// [`CODE_BYTES_MAX`] takes a twentieth of it. The caller of `prepare` must watch the clock,
/// because `prepare` cannot be interrupted.
pub const CPU_MS_MAX: u64 = 2_000;
/// Number of frames of an error's stack that are kept.
pub const STACK_FRAMES_MAX: usize = 10;

/// Stack for parser and transformation in bytes: twice what [`BRACKETS_MAX`] and [`OPERATORS_MAX`]
/// need in an unoptimised build. Only touched pages cost memory, but a separate stack costs 100
/// microseconds for each program.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Size in bytes up to which programs that nest no deeper than [`SHALLOW_PEAK_MAX`] are parsed on
/// the caller's stack.
const SMALL_CODE_BYTES_MAX: usize = 4 * 1024;
/// Limit on open brackets and operators of such a program.
const SHALLOW_PEAK_MAX: usize = 64;
/// Free space on the caller's stack that this needs, in bytes.
const SMALL_STACK_BYTES: usize = 2 * 1024 * 1024;

/// A program ready to be compiled as a classic script. Its completion value is the promise of the
/// program's value.
#[derive(Debug)]
pub struct Prepared {
    /// The script.
    pub script: String,
    /// Its name, [`SCRIPT_NAME`].
    pub name: &'static str,
    /// Column offset of the first line, for the script's origin in V8.
    pub column_offset: i32,
    /// Line offset, for the script's origin in V8.
    pub line_offset: i32,
    /// The agent's source without a byte order mark.
    source: String,
    lines: Lines,
    origin: Origin,
}

/// Maps positions in the script back to the agent's source.
#[derive(Debug)]
struct Origin {
    /// Insertions into the edited program.
    shifts: Vec<Shift>,
    /// Source map and the source it maps to, if the script is more than the edited program with
    /// blanks for types.
    map: Option<(swc_sourcemap::SourceMap, String)>,
}

/// Determines the stack limit of the calling thread, which the first [`prepare`] would do
/// otherwise.
pub fn prepare_thread() {
    let _ = stacker::remaining_stack();
}

/// Prepares a program for execution.
///
/// # Errors
/// `syntax_error` with the position in the agent's source if the program does not parse or uses an
/// unavailable feature; `code_limit` if it is over [`CODE_BYTES_MAX`], [`BRACKETS_MAX`] or
/// [`OPERATORS_MAX`].
#[expect(
    clippy::result_large_err,
    reason = "an error ends the run: its size does not matter, its form is that of the answer"
)]
pub fn prepare(code: &str) -> Result<Prepared, TaskError> {
    if code.len() > CODE_BYTES_MAX {
        let message = format!("the code is {} bytes; the limit is {CODE_BYTES_MAX}", code.len());
        return Err(report::limit_error(message));
    }
    let source = fence::without_bom(code);
    let lines = Lines::new(source);
    let program = fence::program(source);
    let peak = match nesting::check_text(&program) {
        Ok(peak) => peak,
        Err(too_deep) => return Err(report::too_deep(source, &lines, too_deep)),
    };
    let is_small = program.len() <= SMALL_CODE_BYTES_MAX && peak <= SHALLOW_PEAK_MAX;
    let needed = if is_small { SMALL_STACK_BYTES } else { STACK_BYTES };
    // A parser that panics on hostile input must cause a syntax error, not end the process.
    let built = stacker::maybe_grow(needed, STACK_BYTES, || {
        catch_unwind(AssertUnwindSafe(|| build(&program)))
    });
    match built {
        Ok(Ok(built)) => Ok(built.into_prepared(source, lines)),
        Ok(Err(fault)) => Err(report::syntax_error(source, &lines, fault)),
        Err(_) => Err(report::syntax_error(
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
        ..report::limit_error(format!("the code takes over {CPU_MS_MAX} ms of CPU time to parse"))
    }
}

impl Prepared {
    /// Converts a position that V8 reports to the agent's source, both from 1. A position outside
    /// the source becomes the nearest one in it.
    pub fn position(&self, line: u32, column: u32) -> (u32, u32) {
        match self.locate((line, column)) {
            Some(position) => position,
            None if line == 0 => (1, 1),
            None => self.lines.position(&self.source, self.source.len()),
        }
    }

    /// Describes an error of a guest for its agent: with position, the lines around it, a stack of
    /// the agent's functions, and a hint if a name is known not to exist. Positions are V8's, from
    /// 1. The code is `uncaught_exception`.
    pub fn describe(
        &self,
        name: &str,
        message: &str,
        at: Option<(u32, u32)>,
        stack: &[(String, u32, u32)],
    ) -> TaskError {
        let frames: Vec<(&str, Position)> = stack
            .iter()
            .filter_map(|(function, line, column)| {
                Some((function.as_str(), self.locate((*line, *column))?))
            })
            .take(STACK_FRAMES_MAX)
            .collect();
        let at = at
            .and_then(|position| self.locate(position))
            .or_else(|| frames.first().map(|(_, position)| *position));
        TaskError {
            name: report::capped(name, 256),
            message: report::capped(message, MESSAGE_BYTES_MAX),
            code: ErrorCode::UncaughtException.into(),
            line: at.map(|(line, _)| line),
            column: at.map(|(_, column)| column),
            frame: at.and_then(|at| report::excerpt(&self.source, &self.lines, at)),
            stack: report::stack_text(name, message, &frames),
            hint: hint::for_error(name, message, &self.source).map(str::to_owned),
        }
    }

    /// Converts a position in the script to the agent's source. Returns `None` for our wrapper.
    fn locate(&self, position: Position) -> Option<Position> {
        let position = match &self.origin.map {
            None => position,
            Some((map, wrapped)) => {
                // A raw U+2028 ends a line for V8 but not for the map, on both sides.
                let offset = Lines::new(&self.script).offset(&self.script, position);
                let (line, column) = Lines::of_map(&self.script).position(&self.script, offset);
                let token = map.lookup_token(line - 1, column - 1)?;
                let offset = Lines::of_map(wrapped)
                    .offset(wrapped, (token.get_src_line() + 1, token.get_src_col() + 1));
                let (line, column) = Lines::new(wrapped).position(wrapped, offset);
                (line - 1, column)
            }
        };
        let (line, column) = text::unshift(&self.origin.shifts, (position.0, position.1.max(1)));
        (1..=self.lines.count()).contains(&line).then_some((line, column))
    }
}

/// A program that is wrapped, shaped and without types.
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
            // The wrapper's line before the agent's first one; a source map accounts for it.
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
        (_, faults) => Err(with_hint(program, faults.into_iter().next().unwrap_or(fault))),
    }
}

/// Builds a program that is an expression but not a statement: an object, an anonymous function.
fn expression(program: &str) -> Option<Result<Built, Fault>> {
    let trimmed = program.trim_end().trim_end_matches(';');
    let program = format!("{trimmed}{}", text::blank(&program[trimmed.len()..]));
    let body = parse::body(&program, "return (", ")").ok()?;
    let close = shape::of_expression(&body, &program)?;
    Some(finish(&program, "return (", close, Vec::new()))
}

/// Builds a program with `export`. Without a default export it is shaped like any other program.
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
    let erased = erase::erase(&wrapped).map_err(|unsupported| {
        let at = unsupported.at.saturating_sub(before).min(program.len());
        Fault { message: unsupported.message, at, hint: None }
    })?;
    Ok(Built { script: erased.script, map: erased.map, wrapped, shifts })
}

/// Adds a hint to a syntax error if the cause is known.
fn with_hint(program: &str, fault: Fault) -> Fault {
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
    Fault { hint: hint::for_syntax(&fault.message, program, fault.at), ..fault }
}
