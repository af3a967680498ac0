//! The account of one decision, for people and programs.

use std::fmt;

use serde::Serialize;

use super::{Decision, Verdict};

/// Most steps that an account keeps; the rest is counted.
pub const STEPS_MAX: usize = 2000;

/// One step of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The file, or the profile.
    pub layer: String,
    /// The pattern or the place that spoke: `stripe.*`, `default`.
    pub place: String,
    /// The rule: its name.
    pub rule: String,
    /// JSON Pointer of the rule.
    pub pointer: String,
    /// What was looked at, with the values compared: `args.amount = 60000 gt 50000: true`.
    pub what: String,
    /// What came of it: `passes`, `does not apply`, `deny`, `ask`, `allow`, `error`, `counts`.
    pub outcome: String,
    /// Whether it is only recorded.
    pub shadow: bool,
}

/// Why a call is answered as it is: every layer, pattern and rule that was looked at, and the
/// decision itself.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The address of the tool.
    pub tool: String,
    /// Where its class comes from.
    pub class_source: String,
    /// What was looked at, in order.
    pub steps: Vec<Step>,
    /// Steps beyond [`STEPS_MAX`].
    pub steps_dropped: usize,
    /// The decision; what `decide` answers.
    pub decision: Decision,
}

impl Explanation {
    /// The last line: the answer, the rule and the reason.
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
            writeln!(f, "  and {} steps more", self.steps_dropped)?;
        }
        for hold in &self.decision.holds {
            writeln!(
                f,
                "  counts {} of {} per {} in {} ({})",
                hold.cost, hold.max, hold.window, hold.key, hold.rule
            )?;
        }
        for finding in &self.decision.shadow {
            writeln!(f, "  shadow: {} would {}: {}", finding.rule, finding.would, finding.message)?;
        }
        write!(f, "{}", self.final_line())
    }
}
