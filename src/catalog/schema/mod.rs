//! Untrusted JSON Schemas: cost of validation, examples, types in TypeScript, types inferred from
//! values. Pure; knows no tool.

pub(super) mod checker;
pub(super) mod cost;
pub(super) mod dialect;
pub(super) mod example;
pub(super) mod inferred;
pub(super) mod jsdoc;
pub(super) mod lenient;
pub(super) mod reference;
pub(super) mod typescript;
