//! Keys of the file format, and how each is read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    condition::{Comparison, Condition, ConditionGroup, Op, Requirement, When},
    limit::{Algorithm, Cost, Counting, Exceeded, Limit, RateLimit, Scope},
    policy_file::{Budgets, DefaultAction, Entry, Expected, PolicyFile, TestCaller, TestCase},
    reader::{Located, Reader, type_name},
    rule::{Action, AppliesTo, Approval, Rule, State, Validate},
    values::{Mode, OneOrMany, WindowText},
};
use crate::policy::model::class::Class;

/// Keys of a file. Aliases follow their key after `=`, here and below.
pub(super) const FILE_KEYS: &[&str] = &[
    "version",
    "description",
    "default",
    "mode",
    "upstream",
    "presets",
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
pub(super) const GROUP_KEYS: &[&str] = &["conditions", "message=on_deny=reason"];
pub(super) const STATE_KEYS: &[&str] = &["counter", "window", "increment", "increment_from"];
pub(super) const VALIDATE_KEYS: &[&str] = &["required_args", "schema"];
pub(super) const APPROVAL_KEYS: &[&str] = &["timeout"];
pub(super) const APPLIES_KEYS: &[&str] = &["role", "key", "workspace"];
pub(super) const BUDGET_KEYS: &[&str] = &["calls", "bytes_returned", "wall_time"];
pub(super) const TEST_KEYS: &[&str] = &["name", "tool", "args", "as", "class", "expect", "rule"];
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
const TESTS_MAX: usize = 10_000;
/// Most entries of `tools`.
const ENTRIES_MAX: usize = 10_000;

impl Reader<'_> {
    pub(super) fn file(&mut self, root: &Value) -> PolicyFile {
        let at = Located { value: root, pointer: String::new() };
        let mut file = PolicyFile::default();
        let Some(members) = self.members(&at, FILE_KEYS) else { return file };
        if let Some(at) = self.member(&members, "version") {
            match at.value {
                Value::String(version) if version == "1" => file.version = Some(version.clone()),
                other => self.problem(
                    &at.pointer,
                    format!("version {other} is not supported"),
                    Some("write `version: \"1\"`".into()),
                ),
            }
        }
        file.description = self.member(&members, "description").and_then(|at| self.string(&at));
        let defaults = [
            ("allow", DefaultAction::Allow),
            ("deny", DefaultAction::Deny),
            ("ask", DefaultAction::Ask),
            ("auto", DefaultAction::Auto),
        ];
        file.default = self.member(&members, "default").and_then(|at| self.one_of(&at, &defaults));
        file.mode = self.member(&members, "mode").and_then(|at| self.one_of(&at, MODES));
        file.upstream = self.member(&members, "upstream").and_then(|at| self.string(&at));
        if let Some(at) = self.member(&members, "presets") {
            file.presets = self.presets(&at);
        }
        file.hide =
            self.member(&members, "hide").and_then(|at| self.strings(&at)).unwrap_or_default();
        if let Some(at) = self.member(&members, "tools") {
            file.tools = self.tools(&at);
        }
        file.all_tools = self.member(&members, "all_tools").and_then(|at| self.entry(&at));
        file.budgets = self.member(&members, "budgets").and_then(|at| self.budgets(&at));
        if let Some(items) =
            self.member(&members, "tests").and_then(|at| self.items_up_to(&at, TESTS_MAX))
        {
            file.tests = items.iter().filter_map(|item| self.test_case(item)).collect();
        }
        file
    }

    fn presets(&mut self, at: &Located<'_>) -> BTreeMap<String, String> {
        let Value::Object(map) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a mapping, found {}", type_name(at.value)),
                None,
            );
            return BTreeMap::new();
        };
        map.iter()
            .filter_map(|(key, value)| Some((key.clone(), self.string(&at.member(key, value))?)))
            .collect()
    }

    fn tools(&mut self, at: &Located<'_>) -> BTreeMap<String, Entry> {
        let Value::Object(map) = at.value else {
            self.problem(
                &at.pointer,
                format!("expected a mapping of tool patterns, found {}", type_name(at.value)),
                None,
            );
            return BTreeMap::new();
        };
        if map.len() > ENTRIES_MAX {
            self.problem(
                &at.pointer,
                format!("`tools` has {} entries; the limit is {ENTRIES_MAX}", map.len()),
                None,
            );
            return BTreeMap::new();
        }
        map.iter()
            .filter_map(|(key, value)| Some((key.clone(), self.entry(&at.member(key, value))?)))
            .collect()
    }

    fn entry(&mut self, at: &Located<'_>) -> Option<Entry> {
        let members = self.members(at, ENTRY_KEYS)?;
        let mut entry = Entry {
            hide: self
                .member(&members, "hide")
                .and_then(|at| self.boolean(&at))
                .unwrap_or_default(),
            class: self.member(&members, "class").and_then(|at| self.one_of(&at, CLASSES)),
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

    fn rule(&mut self, at: &Located<'_>) -> Option<Rule> {
        let actions = [
            ("allow=approve", Action::Allow),
            ("ask=require_approval", Action::Ask),
            ("deny=block", Action::Deny),
            ("evaluate", Action::Evaluate),
        ];
        let members = self.members(at, RULE_KEYS)?;
        Some(Rule {
            name: self.member(&members, "name").and_then(|at| self.string(&at)),
            applies_to: self.member(&members, "applies_to").and_then(|at| self.applies_to(&at)),
            when: self.member(&members, "when").and_then(|at| self.when(&at)),
            conditions: self.member(&members, "conditions").and_then(|at| self.when(&at)),
            require: self
                .member(&members, "require")
                .map(|at| self.requirements(&at))
                .unwrap_or_default(),
            action: self.member(&members, "action").and_then(|at| self.one_of(&at, &actions)),
            limit: self.member(&members, "limit=rate_limit").and_then(|at| self.rate_limit(&at)),
            state: self.member(&members, "state").and_then(|at| self.state(&at)),
            validate: self.member(&members, "validate").and_then(|at| self.validate(&at)),
            approval: self.member(&members, "approval").and_then(|at| self.approval(&at)),
            approval_timeout: self
                .member(&members, "approval_timeout")
                .and_then(|at| self.duration(&at)),
            message: self
                .member(&members, "message=on_deny=reason")
                .and_then(|at| self.string(&at)),
            mode: self.member(&members, "mode").and_then(|at| self.one_of(&at, MODES)),
        })
    }

    fn applies_to(&mut self, at: &Located<'_>) -> Option<AppliesTo> {
        let members = self.members(at, APPLIES_KEYS)?;
        let mut any =
            |key| self.member(&members, key).and_then(|at| self.strings(&at)).map(OneOrMany::Many);
        Some(AppliesTo { role: any("role"), key: any("key"), workspace: any("workspace") })
    }

    fn when(&mut self, at: &Located<'_>) -> Option<When> {
        match at.value {
            Value::Array(_) => {
                let items = self.items(at)?;
                Some(When::All(items.iter().filter_map(|item| self.condition(item)).collect()))
            }
            _ => self.condition(at).map(When::One),
        }
    }

    fn condition(&mut self, at: &Located<'_>) -> Option<Condition> {
        if at.value.is_string() {
            return self.string(at).map(Condition::Cel);
        }
        if !at.value.is_object() {
            let message = format!(
                "expected a CEL expression or a mapping of `path`, `op` and `value`, found {}",
                type_name(at.value)
            );
            self.problem(&at.pointer, message, None);
            return None;
        }
        let members = self.members(at, CONDITION_KEYS)?;
        let path = self.required(&members, "path").and_then(|at| self.string(&at));
        let op = self.required(&members, "op").and_then(|at| self.one_of(&at, &Op::ALL));
        let value = self.member(&members, "value").map(|at| at.value.clone());
        Some(Condition::Comparison(Comparison { path: path?, op: op?, value }))
    }

    fn requirements(&mut self, at: &Located<'_>) -> Vec<Requirement> {
        if at.value.is_string() || at.value.is_object() {
            return self.requirement(at).into_iter().collect();
        }
        let items = self.items(at).unwrap_or_default();
        items.iter().filter_map(|item| self.requirement(item)).collect()
    }

    fn requirement(&mut self, at: &Located<'_>) -> Option<Requirement> {
        let is_group = at.value.as_object().is_some_and(|map| map.contains_key("conditions"));
        if !is_group {
            return self.condition(at).map(Requirement::Single);
        }
        let members = self.members(at, GROUP_KEYS)?;
        let conditions = self
            .required(&members, "conditions")
            .and_then(|at| self.when(&at))?
            .conditions()
            .to_vec();
        let message =
            self.member(&members, "message=on_deny=reason").and_then(|at| self.string(&at));
        Some(Requirement::Group(ConditionGroup { conditions, message }))
    }

    fn window(&mut self, at: &Located<'_>) -> Option<WindowText> {
        match at.value {
            Value::String(text) => Some(WindowText::Text(text.clone())),
            _ => self.whole(at).map(WindowText::Seconds),
        }
    }

    fn limit(&mut self, at: &Located<'_>) -> Option<Limit> {
        let members = self.members(at, LIMIT_KEYS)?;
        let window = self.required(&members, "window").and_then(|at| self.window(&at));
        let max = self.required(&members, "max").and_then(|at| self.number(&at));
        let algorithms = [("fixed", Algorithm::Fixed), ("rolling", Algorithm::Rolling)];
        let countings = [("success", Counting::Success), ("attempt", Counting::Attempt)];
        let exceeded = [("deny", Exceeded::Deny), ("wait", Exceeded::Wait), ("ask", Exceeded::Ask)];
        let counter = self.member(&members, "counter").and_then(|at| self.string(&at));
        let scope = self.member(&members, "scope").and_then(|at| self.scopes(&at));
        let cost = self.member(&members, "cost").and_then(|at| match at.value {
            Value::String(_) => self.string(&at).map(Cost::Of),
            _ => self.number(&at).map(Cost::Fixed),
        });
        let algo = self.member(&members, "algo").and_then(|at| self.one_of(&at, &algorithms));
        let count = self.member(&members, "count").and_then(|at| self.one_of(&at, &countings));
        let on_exceed =
            self.member(&members, "on_exceed").and_then(|at| self.one_of(&at, &exceeded));
        let wait = self.member(&members, "wait").and_then(|at| self.duration(&at));
        let message =
            self.member(&members, "message=on_deny=reason").and_then(|at| self.string(&at));
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

    fn scopes(&mut self, at: &Located<'_>) -> Option<Vec<Scope>> {
        // PolicyLayer calls a principal `grant`, Executor calls an upstream `connection`.
        let names: Vec<(String, Scope)> = Scope::ALL
            .iter()
            .map(|(name, scope)| match scope {
                Scope::Principal => (format!("{name}=grant"), *scope),
                Scope::Upstream => (format!("{name}=connection"), *scope),
                _ => ((*name).to_owned(), *scope),
            })
            .collect();
        let names: Vec<(&str, Scope)> =
            names.iter().map(|(name, scope)| (name.as_str(), *scope)).collect();
        let mut scopes = match at.value {
            Value::Array(_) => self
                .items(at)?
                .iter()
                .map(|item| self.one_of(item, &names))
                .collect::<Option<Vec<_>>>()?,
            _ => vec![self.one_of(at, &names)?],
        };
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            self.problem(
                &at.pointer,
                "`scope` is empty",
                Some("write `global` for a single counter".into()),
            );
            return None;
        }
        Some(scopes)
    }

    fn rate_limit(&mut self, at: &Located<'_>) -> Option<RateLimit> {
        match at.value {
            Value::String(_) => self.string(at).map(RateLimit::Short),
            _ => self.limit(at).map(|limit| RateLimit::Full(Box::new(limit))),
        }
    }

    fn state(&mut self, at: &Located<'_>) -> Option<State> {
        let members = self.members(at, STATE_KEYS)?;
        let counter = self.required(&members, "counter").and_then(|at| self.string(&at));
        let window = self.required(&members, "window").and_then(|at| self.window(&at));
        let increment = self.member(&members, "increment").and_then(|at| self.whole(&at));
        let increment_from =
            self.member(&members, "increment_from").and_then(|at| self.string(&at));
        Some(State { counter: counter?, window: window?, increment, increment_from })
    }

    fn validate(&mut self, at: &Located<'_>) -> Option<Validate> {
        let members = self.members(at, VALIDATE_KEYS)?;
        Some(Validate {
            required_args: self.member(&members, "required_args").and_then(|at| self.boolean(&at)),
            schema: self.member(&members, "schema").and_then(|at| self.schema(&at)),
        })
    }

    fn schema(&mut self, at: &Located<'_>) -> Option<Value> {
        if at.value.is_object() {
            return Some(at.value.clone());
        }
        self.problem(
            &at.pointer,
            format!("expected a JSON Schema, which is a mapping, found {}", type_name(at.value)),
            None,
        );
        None
    }

    fn approval(&mut self, at: &Located<'_>) -> Option<Approval> {
        let members = self.members(at, APPROVAL_KEYS)?;
        let timeout = self.member(&members, "timeout").and_then(|at| self.duration(&at));
        Some(Approval { timeout })
    }

    fn budgets(&mut self, at: &Located<'_>) -> Option<Budgets> {
        let members = self.members(at, BUDGET_KEYS)?;
        Some(Budgets {
            calls: self.member(&members, "calls").and_then(|at| self.whole(&at)),
            bytes_returned: self.member(&members, "bytes_returned").and_then(|at| self.whole(&at)),
            wall_time: self.member(&members, "wall_time").and_then(|at| self.duration(&at)),
        })
    }

    fn test_case(&mut self, at: &Located<'_>) -> Option<TestCase> {
        let expected = [
            ("allow", Expected::Allow),
            ("ask", Expected::Ask),
            ("deny", Expected::Deny),
            ("hidden", Expected::Hidden),
        ];
        let members = self.members(at, TEST_KEYS)?;
        let name = self.member(&members, "name").and_then(|at| self.string(&at));
        let tool = self.required(&members, "tool").and_then(|at| self.string(&at));
        let args = self.member(&members, "args").and_then(|at| self.schema(&at));
        let caller = self.member(&members, "as").and_then(|at| self.test_caller(&at));
        let class = self.member(&members, "class").and_then(|at| self.one_of(&at, CLASSES));
        let expect = self.required(&members, "expect").and_then(|at| self.one_of(&at, &expected));
        let rule = self.member(&members, "rule").and_then(|at| self.string(&at));
        Some(TestCase { name, tool: tool?, args, caller, class, expect: expect?, rule })
    }

    fn test_caller(&mut self, at: &Located<'_>) -> Option<TestCaller> {
        let members = self.members(at, CALLER_KEYS)?;
        let mut text = |key| self.member(&members, key).and_then(|at| self.string(&at));
        Some(TestCaller {
            workspace: text("workspace"),
            principal: text("principal"),
            role: text("role"),
            key: text("key"),
            session: text("session"),
        })
    }
}
