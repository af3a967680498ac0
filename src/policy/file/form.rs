//! The keys of the file, one by one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Action, Algorithm, AppliesTo, Approval, Budgets, Case, CaseCaller, Condition, Cost, Counting,
    Default, Entry, Exceeded, Expected, Limit, Mode, OneOrMany, Op, PolicyFile, RateLimit,
    Requirement, Rule, Scope, Spoken, State, Structured, Validate, When, WindowText,
    read::{At, Reader, kind},
};
use crate::policy::Class;

/// The keys of a file; an alias stands behind its key, after `=`.
pub(super) const FILE_KEYS: &[&str] = &[
    "version",
    "description",
    "default",
    "mode",
    "upstream",
    "catalogue",
    "hide",
    "tools",
    "all_tools",
    "budgets",
    "tests",
];
pub(super) const ENTRY_KEYS: &[&str] =
    &["hide", "class", "approval", "args", "require", "deny_if", "limits", "rules"];
pub(super) const RULE_KEYS: &[&str] = &[
    "name",
    "applies_to",
    "when",
    "conditions",
    "require",
    "action",
    "limit=rate_limit",
    "state",
    "validate",
    "approval",
    "approval_timeout",
    "message=on_deny=reason",
    "mode",
];
pub(super) const LIMIT_KEYS: &[&str] = &[
    "counter",
    "window",
    "max",
    "scope",
    "cost",
    "algo",
    "count",
    "on_exceed",
    "wait",
    "message=on_deny=reason",
];
pub(super) const CONDITION_KEYS: &[&str] = &["path", "op", "value"];
pub(super) const SPOKEN_KEYS: &[&str] = &["conditions", "message=on_deny=reason"];
pub(super) const STATE_KEYS: &[&str] = &["counter", "window", "increment", "increment_from"];
pub(super) const VALIDATE_KEYS: &[&str] = &["required_args", "schema"];
pub(super) const APPROVAL_KEYS: &[&str] = &["timeout"];
pub(super) const APPLIES_KEYS: &[&str] = &["role", "key", "workspace"];
pub(super) const BUDGET_KEYS: &[&str] = &["calls", "bytes_returned", "wall_time"];
pub(super) const CASE_KEYS: &[&str] = &["name", "tool", "args", "as", "class", "expect", "rule"];
pub(super) const CALLER_KEYS: &[&str] = &["workspace", "principal", "role", "key", "session"];

const CLASSES: &[(&str, Class)] = &[
    ("read", Class::Read),
    ("write", Class::Write),
    ("unknown", Class::Unknown),
    ("execute", Class::Execute),
    ("destructive", Class::Destructive),
    ("financial", Class::Financial),
];
const MODES: &[(&str, Mode)] = &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
/// Most tests of one file.
const CASES_MAX: usize = 10_000;
/// Most entries of `tools`.
const ENTRIES_MAX: usize = 10_000;

impl Reader<'_> {
    pub(super) fn file(&mut self, root: &Value) -> PolicyFile {
        let at = At { value: root, pointer: String::new() };
        let mut file = PolicyFile::default();
        let Some(members) = self.members(&at, FILE_KEYS) else { return file };
        if let Some(at) = self.member(&members, "version") {
            match at.value {
                Value::String(version) if version == "1" => file.version = Some(version.clone()),
                other => self.problem(
                    &at.pointer,
                    format!("version {other} is not known"),
                    Some("write `version: \"1\"`".into()),
                ),
            }
        }
        file.description = self.member(&members, "description").and_then(|at| self.text(&at));
        let defaults = [
            ("allow", Default::Allow),
            ("deny", Default::Deny),
            ("ask", Default::Ask),
            ("auto", Default::Auto),
        ];
        file.default = self.member(&members, "default").and_then(|at| self.word(&at, &defaults));
        file.mode = self.member(&members, "mode").and_then(|at| self.word(&at, MODES));
        file.upstream = self.member(&members, "upstream").and_then(|at| self.text(&at));
        if let Some(at) = self.member(&members, "catalogue") {
            file.catalogue = self.catalogue(&at);
        }
        file.hide =
            self.member(&members, "hide").and_then(|at| self.texts(&at)).unwrap_or_default();
        if let Some(at) = self.member(&members, "tools") {
            file.tools = self.tools(&at);
        }
        file.all_tools = self.member(&members, "all_tools").and_then(|at| self.entry(&at));
        file.budgets = self.member(&members, "budgets").and_then(|at| self.budgets(&at));
        if let Some(items) =
            self.member(&members, "tests").and_then(|at| self.items_up_to(&at, CASES_MAX))
        {
            file.tests = items.iter().filter_map(|item| self.case(item)).collect();
        }
        file
    }

    fn catalogue(&mut self, at: &At<'_>) -> BTreeMap<String, String> {
        let Value::Object(map) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a mapping, found {}", kind(at.value)),
                None,
            );
            return BTreeMap::new();
        };
        map.iter()
            .filter_map(|(key, value)| Some((key.clone(), self.text(&at.member(key, value))?)))
            .collect()
    }

    fn tools(&mut self, at: &At<'_>) -> BTreeMap<String, Entry> {
        let Value::Object(map) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a mapping of addresses, found {}", kind(at.value)),
                None,
            );
            return BTreeMap::new();
        };
        if map.len() > ENTRIES_MAX {
            self.problem(
                &at.pointer,
                format!("`tools` has {} entries, allowed are {ENTRIES_MAX}", map.len()),
                None,
            );
            return BTreeMap::new();
        }
        map.iter()
            .filter_map(|(key, value)| Some((key.clone(), self.entry(&at.member(key, value))?)))
            .collect()
    }

    fn entry(&mut self, at: &At<'_>) -> Option<Entry> {
        let members = self.members(at, ENTRY_KEYS)?;
        let mut entry = Entry {
            hide: self.member(&members, "hide").and_then(|at| self.truth(&at)).unwrap_or_default(),
            class: self.member(&members, "class").and_then(|at| self.word(&at, CLASSES)),
            approval: self.member(&members, "approval").and_then(|at| self.approval(&at)),
            args: self.member(&members, "args").and_then(|at| self.schema(&at)),
            ..Entry::default()
        };
        entry.require =
            self.member(&members, "require").map(|at| self.requirements(&at)).unwrap_or_default();
        entry.deny_if =
            self.member(&members, "deny_if").map(|at| self.requirements(&at)).unwrap_or_default();
        if let Some(items) = self.member(&members, "limits").and_then(|at| self.items(&at)) {
            entry.limits = items.iter().filter_map(|item| self.limit(item)).collect();
        }
        if let Some(items) = self.member(&members, "rules").and_then(|at| self.items(&at)) {
            entry.rules = items.iter().filter_map(|item| self.rule(item)).collect();
        }
        Some(entry)
    }

    fn rule(&mut self, at: &At<'_>) -> Option<Rule> {
        let actions = [
            ("allow=approve", Action::Allow),
            ("ask=require_approval", Action::Ask),
            ("deny=block", Action::Deny),
            ("evaluate", Action::Evaluate),
        ];
        let members = self.members(at, RULE_KEYS)?;
        Some(Rule {
            name: self.member(&members, "name").and_then(|at| self.text(&at)),
            applies_to: self.member(&members, "applies_to").and_then(|at| self.applies_to(&at)),
            when: self.member(&members, "when").and_then(|at| self.when(&at)),
            conditions: self.member(&members, "conditions").and_then(|at| self.when(&at)),
            require: self
                .member(&members, "require")
                .map(|at| self.requirements(&at))
                .unwrap_or_default(),
            action: self.member(&members, "action").and_then(|at| self.word(&at, &actions)),
            limit: self.member(&members, "limit=rate_limit").and_then(|at| self.rate_limit(&at)),
            state: self.member(&members, "state").and_then(|at| self.state(&at)),
            validate: self.member(&members, "validate").and_then(|at| self.validate(&at)),
            approval: self.member(&members, "approval").and_then(|at| self.approval(&at)),
            approval_timeout: self
                .member(&members, "approval_timeout")
                .and_then(|at| self.duration(&at)),
            message: self.member(&members, "message=on_deny=reason").and_then(|at| self.text(&at)),
            mode: self.member(&members, "mode").and_then(|at| self.word(&at, MODES)),
        })
    }

    fn applies_to(&mut self, at: &At<'_>) -> Option<AppliesTo> {
        let members = self.members(at, APPLIES_KEYS)?;
        let mut any =
            |key| self.member(&members, key).and_then(|at| self.texts(&at)).map(OneOrMany::Many);
        Some(AppliesTo { role: any("role"), key: any("key"), workspace: any("workspace") })
    }

    fn when(&mut self, at: &At<'_>) -> Option<When> {
        match at.value {
            Value::Array(_) => {
                let items = self.items(at)?;
                Some(When::All(items.iter().filter_map(|item| self.condition(item)).collect()))
            }
            _ => self.condition(at).map(When::One),
        }
    }

    fn condition(&mut self, at: &At<'_>) -> Option<Condition> {
        if at.value.is_string() {
            return self.text(at).map(Condition::Cel);
        }
        if !at.value.is_object() {
            let message = format!(
                "expected a CEL expression or a mapping of `path`, `op` and `value`, found {}",
                kind(at.value)
            );
            self.problem(&at.pointer, message, None);
            return None;
        }
        let members = self.members(at, CONDITION_KEYS)?;
        let path = self.needed(&members, "path").and_then(|at| self.text(&at));
        let op = self.needed(&members, "op").and_then(|at| self.word(&at, &Op::ALL));
        let value = self.member(&members, "value").map(|at| at.value.clone());
        Some(Condition::Structured(Structured { path: path?, op: op?, value }))
    }

    fn requirements(&mut self, at: &At<'_>) -> Vec<Requirement> {
        if at.value.is_string() || at.value.is_object() {
            return self.requirement(at).into_iter().collect();
        }
        let items = self.items(at).unwrap_or_default();
        items.iter().filter_map(|item| self.requirement(item)).collect()
    }

    fn requirement(&mut self, at: &At<'_>) -> Option<Requirement> {
        let spoken = at.value.as_object().is_some_and(|map| map.contains_key("conditions"));
        if !spoken {
            return self.condition(at).map(Requirement::Plain);
        }
        let members = self.members(at, SPOKEN_KEYS)?;
        let conditions = self
            .needed(&members, "conditions")
            .and_then(|at| self.when(&at))?
            .conditions()
            .to_vec();
        let message = self.member(&members, "message=on_deny=reason").and_then(|at| self.text(&at));
        Some(Requirement::Spoken(Spoken { conditions, message }))
    }

    fn window(&mut self, at: &At<'_>) -> Option<WindowText> {
        match at.value {
            Value::String(text) => Some(WindowText::Text(text.clone())),
            _ => self.whole(at).map(WindowText::Seconds),
        }
    }

    fn limit(&mut self, at: &At<'_>) -> Option<Limit> {
        let members = self.members(at, LIMIT_KEYS)?;
        let window = self.needed(&members, "window").and_then(|at| self.window(&at));
        let max = self.needed(&members, "max").and_then(|at| self.number(&at));
        let algorithms = [("fixed", Algorithm::Fixed), ("rolling", Algorithm::Rolling)];
        let countings = [("success", Counting::Success), ("attempt", Counting::Attempt)];
        let exceeded = [("deny", Exceeded::Deny), ("wait", Exceeded::Wait), ("ask", Exceeded::Ask)];
        let counter = self.member(&members, "counter").and_then(|at| self.text(&at));
        let scope = self.member(&members, "scope").and_then(|at| self.scopes(&at));
        let cost = self.member(&members, "cost").and_then(|at| match at.value {
            Value::String(_) => self.text(&at).map(Cost::Of),
            _ => self.number(&at).map(Cost::Fixed),
        });
        let algo = self.member(&members, "algo").and_then(|at| self.word(&at, &algorithms));
        let count = self.member(&members, "count").and_then(|at| self.word(&at, &countings));
        let on_exceed = self.member(&members, "on_exceed").and_then(|at| self.word(&at, &exceeded));
        let wait = self.member(&members, "wait").and_then(|at| self.duration(&at));
        let message = self.member(&members, "message=on_deny=reason").and_then(|at| self.text(&at));
        Some(Limit {
            counter,
            window: window?,
            max: max?,
            scope,
            cost,
            algo,
            count,
            on_exceed,
            wait,
            message,
        })
    }

    fn scopes(&mut self, at: &At<'_>) -> Option<Vec<Scope>> {
        // `grant` is PolicyLayer's word for a principal, `connection` another for an upstream.
        let words: Vec<(String, Scope)> = Scope::ALL
            .iter()
            .map(|(word, scope)| match scope {
                Scope::Principal => (format!("{word}=grant"), *scope),
                Scope::Upstream => (format!("{word}=connection"), *scope),
                _ => ((*word).to_owned(), *scope),
            })
            .collect();
        let words: Vec<(&str, Scope)> =
            words.iter().map(|(word, scope)| (word.as_str(), *scope)).collect();
        let mut scopes = match at.value {
            Value::Array(_) => self
                .items(at)?
                .iter()
                .map(|item| self.word(item, &words))
                .collect::<Option<Vec<_>>>()?,
            _ => vec![self.word(at, &words)?],
        };
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            self.problem(
                &at.pointer,
                "`scope` is empty",
                Some("write `global` for one counter altogether".into()),
            );
            return None;
        }
        Some(scopes)
    }

    fn rate_limit(&mut self, at: &At<'_>) -> Option<RateLimit> {
        match at.value {
            Value::String(_) => self.text(at).map(RateLimit::Short),
            _ => self.limit(at).map(|limit| RateLimit::Full(Box::new(limit))),
        }
    }

    fn state(&mut self, at: &At<'_>) -> Option<State> {
        let members = self.members(at, STATE_KEYS)?;
        let counter = self.needed(&members, "counter").and_then(|at| self.text(&at));
        let window = self.needed(&members, "window").and_then(|at| self.window(&at));
        let increment = self.member(&members, "increment").and_then(|at| self.whole(&at));
        let increment_from = self.member(&members, "increment_from").and_then(|at| self.text(&at));
        Some(State { counter: counter?, window: window?, increment, increment_from })
    }

    fn validate(&mut self, at: &At<'_>) -> Option<Validate> {
        let members = self.members(at, VALIDATE_KEYS)?;
        Some(Validate {
            required_args: self.member(&members, "required_args").and_then(|at| self.truth(&at)),
            schema: self.member(&members, "schema").and_then(|at| self.schema(&at)),
        })
    }

    fn schema(&mut self, at: &At<'_>) -> Option<Value> {
        if at.value.is_object() {
            return Some(at.value.clone());
        }
        self.problem(
            &at.pointer,
            format!("expected a JSON Schema, a mapping, found {}", kind(at.value)),
            None,
        );
        None
    }

    fn approval(&mut self, at: &At<'_>) -> Option<Approval> {
        let members = self.members(at, APPROVAL_KEYS)?;
        let timeout = self.member(&members, "timeout").and_then(|at| self.duration(&at));
        Some(Approval { timeout })
    }

    fn budgets(&mut self, at: &At<'_>) -> Option<Budgets> {
        let members = self.members(at, BUDGET_KEYS)?;
        Some(Budgets {
            calls: self.member(&members, "calls").and_then(|at| self.whole(&at)),
            bytes_returned: self.member(&members, "bytes_returned").and_then(|at| self.whole(&at)),
            wall_time: self.member(&members, "wall_time").and_then(|at| self.duration(&at)),
        })
    }

    fn case(&mut self, at: &At<'_>) -> Option<Case> {
        let expected = [
            ("allow", Expected::Allow),
            ("ask", Expected::Ask),
            ("deny", Expected::Deny),
            ("hidden", Expected::Hidden),
        ];
        let members = self.members(at, CASE_KEYS)?;
        let name = self.member(&members, "name").and_then(|at| self.text(&at));
        let tool = self.needed(&members, "tool").and_then(|at| self.text(&at));
        let args = self.member(&members, "args").and_then(|at| self.schema(&at));
        let caller = self.member(&members, "as").and_then(|at| self.caller(&at));
        let class = self.member(&members, "class").and_then(|at| self.word(&at, CLASSES));
        let expect = self.needed(&members, "expect").and_then(|at| self.word(&at, &expected));
        let rule = self.member(&members, "rule").and_then(|at| self.text(&at));
        Some(Case { name, tool: tool?, args, caller, class, expect: expect?, rule })
    }

    fn caller(&mut self, at: &At<'_>) -> Option<CaseCaller> {
        let members = self.members(at, CALLER_KEYS)?;
        let mut text = |key| self.member(&members, key).and_then(|at| self.text(&at));
        Some(CaseCaller {
            workspace: text("workspace"),
            principal: text("principal"),
            role: text("role"),
            key: text("key"),
            session: text("session"),
        })
    }
}
