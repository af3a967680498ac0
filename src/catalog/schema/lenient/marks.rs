//! Marks of properties in a schema that is still to be read.

/// Marks, in a schema that is still to be read here, a property that stands only in what goes the
/// other way, or that a caller does not give; its value says so in words.
pub(in crate::catalog) const ABSENT: &str = "$absent";
/// Marks a property that need not be given, because it has a default that is not told.
pub(in crate::catalog) const OPTIONAL: &str = "$optional";
