//! Who may call what, with which arguments, how often: one decision, made in microseconds from files that a person can read.
//!
//! Pure: text in, a compiled [`Policy`] out; a [`Call`] in, a [`Decision`] out. Nothing here opens a file, reads a clock, counts, asks a person
//! or calls a tool. *Guards add up; permission goes to the most specific; deny always wins.* Whatever goes wrong while deciding is a denial.

mod args;
mod call;
mod class;
mod decision;
mod explain;
pub mod file;
mod hold;
mod pattern;
mod problem;

pub use call::{Call, Caller, Claims, Operation, ToolFacts};
pub use class::Class;
pub use decision::{AskTerms, Budget, Decision, Denial, DenialCode, Listing, Remember, RuleRef, ShadowFinding, Verdict};
pub use explain::{Explanation, STEPS_MAX, Step};
pub use hold::{
    Amount, COUNTER_KEY_BYTES_MAX, Count, CounterKey, CounterRead, CounterValues, FixedWindow, Hold, NoAmount, OnExceed, Window,
};
pub use pattern::{NoPattern, PATTERN_BYTES_MAX, Pattern, SEGMENTS_MAX};
pub use problem::{PROBLEMS_MAX, Problem};

/// Largest arguments that are decided about, in bytes of JSON; a call with larger ones is denied.
pub const ARGS_BYTES_MAX: usize = 256 * 1024;

/// For whom a file speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerScope {
    /// Everybody.
    Organisation,
    /// One workspace.
    Workspace(String),
    /// Callers that came with the key of this label.
    Key(String),
}

/// One policy file.
#[derive(Debug, Clone)]
pub struct Layer {
    /// For whom it speaks.
    pub scope: LayerScope,
    /// Its name in records and problems: that of the file.
    pub name: String,
    /// Binds it to one upstream: every name of a tool in it is a name at that upstream, as in files of Intercept and PolicyLayer, and
    /// without a `default` it allows what it does not list, as those do.
    pub upstream: Option<String>,
    /// Its text: YAML or JSON, at most 1 MiB.
    pub text: String,
}

/// What answers where no file does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What reads is allowed, everything else denied.
    ReadOnly,
    /// What reads is allowed, everything else asked about.
    #[default]
    Auto,
    /// All is allowed but what destroys or moves money; that is asked about.
    Open,
    /// Everything is denied.
    Strict,
}

/// What a policy is compiled for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What answers where no file does.
    pub profile: Profile,
    /// Whether somebody can approve; otherwise asking is denying.
    pub approvals: bool,
}

/// Everything that is decided by, compiled; immutable. A reload makes another.
#[derive(Debug)]
pub struct Policy {
    revision: String,
}

impl Policy {
    /// Compiles all layers, or says everything that is wrong with them.
    pub fn load(layers: Vec<Layer>, options: Options) -> Result<Self, Vec<Problem>> {
        let _ = (layers, options);
        Ok(Self { revision: String::new() })
    }

    /// What it was compiled from: `sha256:…` over all layers and options.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The counters whose values conditions about this call read; whoever asks for a decision fetches them first. Usually none.
    pub fn counters_read(&self, _call: &Call<'_>) -> Vec<CounterRead> {
        vec![]
    }

    /// The answer about a call. Never panics, and never says yes because something went wrong.
    pub fn decide(&self, _call: &Call<'_>, _counters: &CounterValues) -> Decision {
        let message = "nothing is allowed yet".to_owned();
        let denial = Denial { code: DenialCode::PolicyError, message, hidden: false, retry_after: None };
        let verdict = Verdict::Deny(denial);
        Decision { verdict, class: Class::Unknown, rule: None, holds: vec![], shadow: vec![], elapsed: std::time::Duration::ZERO }
    }

    /// The answer with every step that led to it; the answer is the one of [`Self::decide`].
    pub fn explain(&self, call: &Call<'_>, counters: &CounterValues) -> Explanation {
        let decision = self.decide(call, counters);
        Explanation { tool: call.tool.path.to_owned(), class_source: String::new(), steps: vec![], steps_dropped: 0, decision }
    }

    /// What lists show of a tool.
    pub fn view(&self, _tool: &ToolFacts<'_>, _caller: &Caller<'_>) -> Listing {
        Listing::Hidden
    }

    /// What a task of this caller may use of tools altogether: the least that any layer says.
    pub fn budget(&self, _caller: &Caller<'_>) -> Budget {
        Budget::default()
    }
}
