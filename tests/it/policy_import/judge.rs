//! A policy with a real store behind it and a clock that a test moves: what the server does with a
//! call, without the server.

use std::{collections::BTreeMap, time::Duration};

use airlock::{
    model::{Annotations, Schema, Timestamp},
    policy::{
        Call, Caller, Count, CounterValues, Decision, DenialCode, FixedWindow, Layer, LayerScope,
        Options, Policy, Problem, Profile, Reservation, ToolFacts, Verdict, Window,
    },
    store::{
        CounterHold, CounterRead, CounterStore, CounterWindow, Reserved, SqliteConfig, SqliteStore,
    },
};
use serde_json::value::RawValue;

/// What a caller hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// `allow`, `ask`, `deny`, `rate_limited`, `error` or `hidden`.
    pub(super) what: &'static str,
    pub(super) rule: Option<String>,
    pub(super) message: String,
}

/// Decides and counts.
pub(super) struct Judge {
    policy: Policy,
    store: SqliteStore,
    upstream: String,
    pub(super) schemas: BTreeMap<String, Schema>,
    pub(super) now: Timestamp,
    pub(super) principal: String,
    _folder: tempfile::TempDir,
}

/// The first moment of a day, so that every fixed window begins there.
pub(super) fn midnight() -> Timestamp {
    "2026-03-02T00:00:00Z".parse().unwrap()
}

/// A text as the only layer.
pub(super) fn load(text: &str, upstream: Option<&str>) -> Result<Policy, Vec<Problem>> {
    let layer = Layer {
        scope: LayerScope::Organisation,
        name: "policy.yaml".into(),
        upstream: upstream.map(str::to_owned),
        text: text.into(),
    };
    Policy::load(vec![layer], Options { profile: Profile::Auto, approvals: true })
}

impl Judge {
    pub(super) async fn over(policy: Policy, upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            SqliteStore::open(SqliteConfig::new(folder.path().join("airlock.db"))).await.unwrap();
        Self {
            policy,
            store,
            upstream: upstream.into(),
            schemas: BTreeMap::new(),
            now: midnight(),
            principal: "alice".into(),
            _folder: folder,
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = Timestamp::from_second(self.now.as_second() + seconds as i64).unwrap();
    }

    /// A call that succeeds, or fails upstream.
    pub(super) async fn call(&self, tool: &str, args: &str, fails: bool) -> Answer {
        let decision = self.decide(tool, args).await;
        let rule = decision.rule.as_ref().map(|rule| rule.name.to_string());
        match &decision.verdict {
            Verdict::Allow => {}
            Verdict::Ask(terms) => {
                let message = terms.message.as_deref().unwrap_or_default().to_owned();
                return Answer { what: "ask", rule, message };
            }
            Verdict::Deny(denial) => {
                let what = match denial.code {
                    _ if denial.hidden => "hidden",
                    DenialCode::PolicyDenied => "deny",
                    DenialCode::RateLimited => "rate_limited",
                    DenialCode::PolicyError => "error",
                };
                return Answer { what, rule, message: denial.message.clone() };
            }
        }
        let holds: Vec<_> = decision.reservations.iter().map(hold).collect();
        match self.store.reserve(self.now, &holds).await.unwrap() {
            Reserved::Exceeded { index, retry_after, .. } => {
                let hold = &decision.reservations[index];
                let denial = hold.denial(retry_after);
                Answer {
                    what: "rate_limited",
                    rule: Some(hold.rule.name.to_string()),
                    message: denial.message,
                }
            }
            Reserved::Held(token) => {
                if fails {
                    let back =
                        token.part(|index| decision.reservations[index].count == Count::Success);
                    self.store.release(back).await.unwrap();
                }
                Answer { what: "allow", rule, message: String::new() }
            }
        }
    }

    /// The decision alone, with the counters that it reads; explaining must say the same.
    pub(super) async fn decide(&self, tool: &str, args: &str) -> Decision {
        let path = format!("{}.{tool}", self.upstream);
        let args: Box<RawValue> = serde_json::from_str(args).unwrap();
        let facts = ToolFacts {
            path: &path,
            upstream: &self.upstream,
            name: tool,
            input_schema: self.schemas.get(tool),
            annotations: Annotations::default(),
            trusted: false,
            operation: None,
            former: None,
        };
        let caller = Caller {
            workspace: "w",
            principal: &self.principal,
            role: "agent",
            key: None,
            session: None,
            task: "task_1",
        };
        let call = Call { tool: facts, args: &args, caller, now: self.now };
        let reads = self.policy.counters_read(&call);
        let asked: Vec<_> = reads
            .iter()
            .map(|read| CounterRead { key: read.key.to_string(), window: window(read.window) })
            .collect();
        let values = self.store.counters(self.now, &asked).await.unwrap();
        let amount = |value: i64| airlock::policy::Amount::from_millionths(value).unwrap();
        let values: CounterValues =
            reads.into_iter().zip(values).map(|(read, value)| (read.key, amount(value))).collect();
        let decision = self.policy.decide(&call, &values);
        let explained = self.policy.explain(&call, &values);
        assert_eq!(explained.decision.verdict, decision.verdict, "{explained}");
        decision
    }
}

fn hold(hold: &Reservation) -> CounterHold {
    CounterHold {
        key: hold.key.to_string(),
        window: window(hold.window),
        max: hold.max.millionths(),
        cost: hold.cost.millionths(),
    }
}

fn window(window: Window) -> CounterWindow {
    match window {
        Window::Fixed(fixed) => {
            CounterWindow::Fixed(Duration::from_secs(FixedWindow::seconds(fixed).into()))
        }
        Window::Rolling(length) => CounterWindow::Rolling(length),
        Window::Task => CounterWindow::Whole,
    }
}
