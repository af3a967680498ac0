//! Stand-in until the real intake is merged: wraps the code, strips nothing.
use crate::model::TaskError;

/// Code made ready for the engine.
pub struct Prepared {
    /// The script to compile.
    pub script: String,
    /// Its name in positions.
    pub name: &'static str,
    /// Column offset of the first line.
    pub column_offset: i32,
    /// Line offset.
    pub line_offset: i32,
}

const PREFIX: &str = "(async()=>{\"use strict\";";

/// Makes code ready.
pub fn prepare(code: &str) -> Result<Prepared, TaskError> {
    Ok(Prepared {
        script: format!("{PREFIX}{code}\n}})()"),
        name: "agent.ts",
        column_offset: -(PREFIX.len() as i32),
        line_offset: 0,
    })
}

impl Prepared {
    /// A position in the caller's own text.
    pub fn position(&self, line: u32, column: u32) -> (u32, u32) {
        (line, column)
    }

    /// What the caller is told.
    pub fn describe(&self, name: &str, message: &str, at: Option<(u32, u32)>, stack: &[(String, u32, u32)]) -> TaskError {
        let stack: Vec<String> =
            stack.iter().map(|(function, line, column)| format!("    at {function} (agent.ts:{line}:{column})")).collect();
        TaskError {
            name: name.into(),
            message: message.into(),
            code: "guest_threw".into(),
            line: at.map(|at| at.0),
            column: at.map(|at| at.1),
            stack: (!stack.is_empty()).then(|| stack.join("\n")),
            ..TaskError::default()
        }
    }
}
