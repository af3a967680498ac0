//! Validators compiled from schemas, with a limit on the cost of a validation.

use std::fmt;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::{
    cost::{self, ValidationCost},
    lenient,
};

/// Size limit of one compiled pattern of a schema, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Validator of arguments, with an upper bound on its cost.
pub(in crate::catalog) struct Checker {
    pub(in crate::catalog) validator: Validator,
    pub(in crate::catalog) work: ValidationCost,
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

impl Checker {
    /// Compiles a schema, which is untrusted: it fetches nothing, no pattern can run for long or
    /// grow large, and one of which the work has no bound is not compiled. A value may fit several
    /// forms of a `oneOf`. Takes milliseconds for each 10 KiB.
    pub(in crate::catalog) fn of(schema: &Value) -> Result<Self, String> {
        let schema = &lenient::any_of_for_one_of(schema);
        let work = ValidationCost::of(schema)?;
        let validator = compile(schema, work.patterns).map_err(|error| error.to_string())?;
        Ok(Self { validator, work })
    }

    /// Validates the arguments; none if that would take more than `steps_max` steps.
    pub(in crate::catalog) fn allows(&self, args: &Value, steps_max: u64) -> Option<bool> {
        self.work.on(args, steps_max).map(|_| self.validator.is_valid(args))
    }

    /// The first fault of arguments that are not allowed, where nothing else need be kept to find
    /// it.
    pub(in crate::catalog) fn first_fault<'i>(
        &self,
        args: &'i Value,
    ) -> Option<ValidationError<'i>> {
        if self.work.has_forms { None } else { self.validator.validate(args).err() }
    }
}

/// Compiles a schema with so many patterns, which share what they may take.
pub(in crate::catalog) fn compile(
    schema: &Value,
    patterns: usize,
) -> Result<Validator, Box<ValidationError<'static>>> {
    let each = (cost::PATTERN_BYTES_MAX / patterns.max(1)).min(PATTERN_BYTES_MAX);
    let patterns =
        PatternOptions::fancy_regex().backtrack_limit(10_000).size_limit(each).dfa_size_limit(each);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema).map_err(Box::new)
}
