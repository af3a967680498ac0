//! Explanation of one decision, for people and programs.

use std::fmt;

use serde::Serialize;

use crate::base::plural::counted;

use super::{decision::Decision, verdict::Verdict};

/// Most steps that an explanation keeps; further ones are only counted.
pub const STEPS_MAX: usize = 2000;

/// One step of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Name of the file, or of the profile.
    pub layer: String,
    /// Pattern of the entry or name of the default: `stripe.*`, `default`.
    pub place: String,
    /// Name of the rule.
    pub rule: String,
    /// JSON Pointer of the rule.
    pub pointer: String,
    /// Evaluated condition with the values compared: `args.amount = 60000 gt 50000: true`.
    pub what: String,
    /// Result: `passes`, `does not apply`, `deny`, `ask`, `allow`, `error`, `counts`.
    pub outcome: String,
    /// The step is only recorded, because its rule is in shadow mode.
    pub shadow: bool,
}

/// Explanation of a decision: every layer, pattern and rule that was evaluated, and the decision
/// itself.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Path of the tool.
    pub tool: String,
    /// Source of its class.
    pub class_source: String,
    /// Steps, in the order of evaluation.
    pub steps: Vec<Step>,
    /// Number of steps beyond [`STEPS_MAX`].
    pub steps_dropped: usize,
    /// The decision, identical to the one of [`crate::policy::Policy::decide`].
    pub decision: Decision,
}

impl Explanation {
    /// Returns the last line: the verdict, the rule and the reason.
    pub fn final_line(&self) -> String {
        let rule = self.decision.rule.as_ref().map_or(String::new(), |rule| format!(" by {rule}"));
        match &self.decision.verdict {
            Verdict::Allow => format!("allow{rule}"),
            Verdict::Ask(terms) => format!("ask{rule}: {}", terms.reason),
            Verdict::Deny(denial) => {
                format!("deny{rule}: {}: {}", denial.code.as_str(), denial.message)
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: class {} ({})", self.tool, self.decision.class, self.class_source)?;
        let mut layer = "";
        for step in &self.steps {
            if step.layer != layer {
                writeln!(f, "  {}", step.layer)?;
                layer = &step.layer;
            }
            let shadow = if step.shadow { " [shadow]" } else { "" };
            writeln!(
                f,
                "    {} {}{shadow}: {} → {}",
                step.place, step.rule, step.what, step.outcome
            )?;
        }
        if self.steps_dropped > 0 {
            writeln!(f, "  and {}", counted(self.steps_dropped, "more step"))?;
        }
        for reservation in &self.decision.reservations {
            writeln!(
                f,
                "  uses {} of {} per {} in {} ({})",
                reservation.cost,
                reservation.max,
                reservation.window,
                reservation.key,
                reservation.rule
            )?;
        }
        for finding in &self.decision.shadow {
            writeln!(f, "  shadow: {} would {}: {}", finding.rule, finding.would, finding.message)?;
        }
        write!(f, "{}", self.final_line())
    }
}

#[cfg(test)]
mod tests;
