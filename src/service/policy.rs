//! What the owner asks about policy: what is in force, why it answers as it does, and what other
//! files would. Nothing is called, counted or changed here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    Service, ServiceError,
    tools::{profile, unresolved},
};
use crate::{
    base::offload::offload,
    catalog::{Tool, View, Visibility},
    model::{ErrorCode, Timestamp},
    policy::{
        Amount, Call, Caller, CounterRead, CounterValues, Decision, Explanation, Layer, LayerScope,
        Options, Policy, Problem, Verdict, lint,
    },
    store::CounterRead as StoreRead,
    task::policy_view::{ROLE, counter_window, facts},
};

/// Everything, whatever policy says: the owner asks.
pub(super) const EVERYTHING: View<'static> = &|_: &Tool| Visibility::Auto;
/// Policy files in one question.
const FILES_MAX: usize = 64;
/// Calls in one question.
const CALLS_MAX: usize = 1000;
/// Tools in one answer.
const TOOLS_MAX: usize = 10_000;
/// Who calls where the question does not say.
const LOCAL: &str = "local";
/// The task of a call that is never made.
const NO_TASK: &str = "task_explained";

/// What can be asked about policy.
#[derive(Debug, Clone)]
pub enum PolicyQuestion {
    /// What is in force.
    Standing,
    /// The tools of an upstream, or of all, as policy sees them.
    Tools(Option<String>),
    /// What is answered about a call, and why.
    Explain(PolicyExplain),
    /// What is probably not meant in these files.
    Lint(PolicyFiles),
    /// Whether the tests in these files pass.
    Test(PolicyFiles),
    /// What these files answer about calls on record.
    Replay(PolicyReplay),
}

/// A call to be explained.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyExplain {
    /// The tool's address.
    pub tool: String,
    /// The arguments; none: `{}`.
    #[serde(default)]
    pub args: Option<Box<RawValue>>,
    /// Who calls.
    #[serde(default, rename = "as")]
    pub caller: PolicyCaller,
}

/// Who calls. What is not given: the workspace and the principal `local`, the role of agents, no
/// key and no session.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyCaller {
    /// The workspace.
    #[serde(default)]
    pub workspace: Option<String>,
    /// The account.
    #[serde(default)]
    pub principal: Option<String>,
    /// The role.
    #[serde(default)]
    pub role: Option<String>,
    /// The label of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// The session.
    #[serde(default)]
    pub session: Option<String>,
}

/// Policy files, at most 64.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFiles {
    /// The files.
    pub files: Vec<PolicyFileText>,
}

/// One policy file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFileText {
    /// Its name, for findings.
    pub name: String,
    /// For whom it speaks: `organisation`, `workspace:NAME` or `key:LABEL`.
    #[serde(default)]
    pub scope: Option<String>,
    /// The upstream it is bound to.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Its text.
    pub text: String,
}

/// Calls on record, at most 1000, and the files that are to decide about them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyReplay {
    /// The files.
    pub files: Vec<PolicyFileText>,
    /// The calls.
    pub calls: Vec<RecordedCall>,
}

/// A call on record.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedCall {
    /// What it is called in the answer.
    pub call: String,
    /// When it was.
    pub at: Timestamp,
    /// The tool's address.
    pub tool: String,
    /// Its arguments, where they are on record.
    #[serde(default)]
    pub arguments: Option<Value>,
    /// The keys of its arguments.
    #[serde(default)]
    pub argument_keys: Vec<String>,
    /// Who called.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Who called.
    #[serde(default)]
    pub principal: Option<String>,
    /// In which session.
    #[serde(default)]
    pub session: Option<String>,
    /// What was answered: `allow`, `ask` or `deny`.
    pub was: String,
    /// By which rule.
    #[serde(default)]
    pub was_rule: Option<String>,
}

impl Service {
    /// Answers a question about policy. For the owner alone.
    pub async fn policy(&self, question: PolicyQuestion) -> Result<Value, ServiceError> {
        match question {
            PolicyQuestion::Standing => Ok(self.policy_standing()),
            PolicyQuestion::Tools(upstream) => Ok(self.policy_tools(upstream.as_deref()).await),
            PolicyQuestion::Explain(asked) => self.policy_explain(asked).await,
            PolicyQuestion::Lint(files) => self.policy_lint(files).await,
            PolicyQuestion::Test(files) => self.policy_test(files).await,
            PolicyQuestion::Replay(asked) => self.policy_replay(asked).await,
        }
    }

    fn policy_standing(&self) -> Value {
        let standing = self.policy.standing();
        let source = self.policy.source();
        let layers: Vec<_> = source
            .files
            .iter()
            .map(|file| json!({ "path": file.path, "scope": scope_text(&file.scope), "upstream": file.upstream }))
            .collect();
        json!({
            "status": if standing.problems.is_empty() { "ok" } else { "degraded" },
            "revision": standing.revision,
            "profile": profile(standing.profile),
            "approvals": source.options.approvals,
            "layers": layers,
            "problems": standing.problems,
        })
    }

    async fn policy_tools(&self, upstream: Option<&str>) -> Value {
        let policy = self.policy.current();
        let tools = self.catalog.all().await;
        let asked = tools
            .iter()
            .filter(|tool| upstream.is_none_or(|name| *tool.upstream == *name))
            .take(TOOLS_MAX);
        let told: Vec<_> = asked.map(|tool| told(tool, &policy)).collect();
        json!({ "tools": told })
    }

    async fn policy_explain(&self, asked: PolicyExplain) -> Result<Value, ServiceError> {
        let tool = self.catalog.resolve(&asked.tool, EVERYTHING).await.map_err(unresolved)?;
        let policy = self.policy.current();
        let empty = RawValue::from_string("{}".into()).expect("it is JSON");
        let args = asked.args.unwrap_or(empty);
        let call = Call {
            tool: facts(&tool),
            args: &args,
            caller: asked.caller.facts(),
            now: Timestamp::now(),
        };
        let reads = policy.counters_read(&call);
        let values = self.counter_values(&reads, call.now).await?;
        let known: CounterValues =
            reads.into_iter().zip(values).map(|(read, value)| (read.key, value)).collect();
        let explanation = policy.explain(&call, &known);
        let holds = &explanation.decision.holds;
        let counted: Vec<_> = holds
            .iter()
            .map(|hold| CounterRead { key: hold.key.clone(), window: hold.window })
            .collect();
        let values = self.counter_values(&counted, call.now).await?;
        let mut answer = explained(&explanation, &values, policy.revision());
        answer["line"] =
            json!(explanation.decision.rule.as_ref().and_then(|rule| policy.line_of(rule)));
        Ok(answer)
    }

    /// The values of counters now.
    async fn counter_values(
        &self,
        reads: &[CounterRead],
        at: Timestamp,
    ) -> Result<Vec<Amount>, ServiceError> {
        if reads.is_empty() {
            return Ok(vec![]);
        }
        let asked: Vec<_> = reads
            .iter()
            .map(|read| StoreRead {
                key: read.key.to_string(),
                window: counter_window(read.window),
            })
            .collect();
        let values = self.store.counters(at, &asked).await.map_err(super::tasks::store_error)?;
        Ok(values
            .into_iter()
            .map(|value| Amount::from_millionths(value).unwrap_or(Amount::MAX))
            .collect())
    }

    async fn policy_lint(&self, files: PolicyFiles) -> Result<Value, ServiceError> {
        let layers = layers(files.files)?;
        let (options, tools) = (self.policy.source().options, self.catalog.all().await);
        aside(move || {
            let tools: Vec<_> = tools.iter().map(|tool| facts(tool)).collect();
            let findings =
                lint::lint(&layers, options, &tools).map_err(|problems| unusable(&problems))?;
            Ok(json!({ "findings": findings }))
        })
        .await
    }

    async fn policy_test(&self, files: PolicyFiles) -> Result<Value, ServiceError> {
        let layers = layers(files.files)?;
        let (options, tools) = (self.policy.source().options, self.catalog.all().await);
        aside(move || {
            let policy = Policy::load(layers, options).map_err(|problems| unusable(&problems))?;
            let find =
                |path: &str| tools.iter().find(|tool| tool.path == path).map(|tool| facts(tool));
            Ok(json!({ "results": policy.run_cases(Timestamp::now(), &find) }))
        })
        .await
    }

    async fn policy_replay(&self, asked: PolicyReplay) -> Result<Value, ServiceError> {
        if asked.calls.len() > CALLS_MAX {
            let message =
                format!("`calls` has {} calls; at most {CALLS_MAX} are allowed", asked.calls.len());
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let layers = layers(asked.files)?;
        let (options, tools) = (self.policy.source().options, self.catalog.all().await);
        aside(move || replay(layers, options, &tools, &asked.calls)).await
    }
}

/// Does what takes the processor for longer than a request may.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let done = offload(work).await;
    done.unwrap_or_else(|error| {
        Err(ServiceError::new(ErrorCode::Internal, "the question could not be answered")
            .caused_by(error))
    })
}

impl PolicyCaller {
    fn facts(&self) -> Caller<'_> {
        Caller {
            workspace: self.workspace.as_deref().unwrap_or(LOCAL),
            principal: self.principal.as_deref().unwrap_or(LOCAL),
            role: self.role.as_deref().unwrap_or(ROLE),
            key: self.key.as_deref(),
            session: self.session.as_deref(),
            task: NO_TASK,
        }
    }
}

fn layers(files: Vec<PolicyFileText>) -> Result<Vec<Layer>, ServiceError> {
    if files.len() > FILES_MAX {
        let message = format!("`files` has {} files; at most {FILES_MAX} are allowed", files.len());
        return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
    }
    let layer = |file: PolicyFileText| {
        let scope =
            match file.scope.as_deref().map(|scope| scope.split_once(':').unwrap_or((scope, ""))) {
                None | Some(("organisation", "")) => LayerScope::Organisation,
                Some(("workspace", name)) if !name.is_empty() => LayerScope::Workspace(name.into()),
                Some(("key", label)) if !label.is_empty() => LayerScope::Key(label.into()),
                Some(_) => {
                    let message = format!(
                        "`scope` of `{}` is none of `organisation`, `workspace:NAME`, `key:LABEL`",
                        file.name
                    );
                    return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
                }
            };
        Ok(Layer { scope, name: file.name, upstream: file.upstream, text: file.text })
    };
    files.into_iter().map(layer).collect()
}

/// A scope as questions and answers write it.
pub fn scope_text(scope: &LayerScope) -> String {
    match scope {
        LayerScope::Organisation => "organisation".into(),
        LayerScope::Workspace(name) => format!("workspace:{name}"),
        LayerScope::Key(label) => format!("key:{label}"),
    }
}

fn unusable(problems: &[Problem]) -> ServiceError {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    ServiceError::new(
        ErrorCode::InvalidArgument,
        format!("the policy files have {} problems: {first}", problems.len()),
    )
    .hint("`airlock policy validate FILE` tells them all")
}

/// A tool as policy sees it.
fn told(tool: &Tool, policy: &Policy) -> Value {
    let sample = lint::sample(&tool.input_schema.value());
    let args = RawValue::from_string(sample.to_string()).expect("a JSON value is JSON");
    let nobody = PolicyCaller::default();
    let call =
        Call { tool: facts(tool), args: &args, caller: nobody.facts(), now: Timestamp::now() };
    // What is asked for is the class; counters do not matter to it.
    let explanation = policy.explain(&call, &CounterValues::none());
    json!({
        "path": tool.path,
        "upstream": &*tool.upstream,
        "name": tool.name,
        "description": tool.description,
        "class": explanation.decision.class.as_str(),
        "classSource": explanation.class_source,
        "sample": sample,
    })
}

fn explained(explanation: &Explanation, values: &[Amount], revision: &str) -> Value {
    let decision = &explanation.decision;
    let holds: Vec<_> = decision
        .holds
        .iter()
        .zip(values)
        .map(|(hold, value)| {
            json!({
                "rule": hold.rule,
                "window": hold.window.to_string(),
                "used": value.as_f64(),
                "cost": hold.cost.as_f64(),
                "max": hold.max.as_f64(),
                "admitted": value.checked_add(hold.cost).is_some_and(|sum| sum <= hold.max),
            })
        })
        .collect();
    let mut text = explanation.to_string();
    for (hold, value) in decision.holds.iter().zip(values) {
        let full = value.checked_add(hold.cost).is_none_or(|sum| sum > hold.max);
        let told = if full { ": full, the call would be rate limited now" } else { "" };
        text.push_str(&format!(
            "\n{} of {} per {} used now (rule `{}`){told}",
            value, hold.max, hold.window, hold.rule.name
        ));
    }
    json!({
        "id": explanation.tool,
        "tool": explanation.tool,
        "status": decision.verdict.as_str(),
        "class": decision.class.as_str(),
        "classSource": explanation.class_source,
        "rule": decision.rule,
        "steps": explanation.steps,
        "stepsDropped": explanation.steps_dropped,
        "verdict": verdict(decision),
        "holds": holds,
        "shadow": decision.shadow,
        "revision": revision,
        "final": explanation.final_line(),
        "text": text,
    })
}

fn verdict(decision: &Decision) -> Value {
    match &decision.verdict {
        Verdict::Allow => json!({ "outcome": "allow" }),
        Verdict::Ask(terms) => {
            json!({ "outcome": "ask", "reason": terms.reason, "message": terms.message })
        }
        Verdict::Deny(denial) => {
            json!({ "outcome": "deny", "code": denial.code.as_str(), "message": denial.message, "hidden": denial.hidden })
        }
    }
}

/// What the files answer about each call. Limits are not counted.
fn replay(
    layers: Vec<Layer>,
    options: Options,
    tools: &[std::sync::Arc<Tool>],
    calls: &[RecordedCall],
) -> Result<Value, ServiceError> {
    let policy = Policy::load(layers, options).map_err(|problems| unusable(&problems))?;
    let reliance = lint::Reliance::of(&policy);
    let results: Vec<_> = calls
        .iter()
        .map(|call| {
            let tool = tools.iter().find(|tool| tool.path == call.tool);
            let now = tool.and_then(|tool| decide_again(&policy, &reliance, tool, call));
            let change = match &now {
                None => "unknown",
                Some(now) if now.verdict.as_str() == call.was => "same",
                Some(_) => "changed",
            };
            json!({
                "call": call.call,
                "tool": call.tool,
                "status": change,
                "change": change,
                "was": call.was,
                "wasRule": call.was_rule,
                "now": now.as_ref().map(|now| now.verdict.as_str()),
                "rule": now.as_ref().and_then(|now| now.rule.as_ref()).map(|rule| &*rule.name),
            })
        })
        .collect();
    Ok(json!({ "results": results }))
}

/// The answer now; none where it hangs on arguments that are not on record.
fn decide_again(
    policy: &Policy,
    reliance: &lint::Reliance<'_>,
    tool: &Tool,
    call: &RecordedCall,
) -> Option<Decision> {
    let args = match &call.arguments {
        Some(args) => args.clone(),
        None if call.argument_keys.is_empty() => json!({}),
        None if !reliance.on_arguments(&tool.path) => json!({}),
        None => return None,
    };
    let args = RawValue::from_string(args.to_string()).ok()?;
    let caller = PolicyCaller {
        workspace: call.workspace.clone(),
        principal: call.principal.clone(),
        session: call.session.clone(),
        ..PolicyCaller::default()
    };
    let asked = Call { tool: facts(tool), args: &args, caller: caller.facts(), now: call.at };
    let zero =
        policy.counters_read(&asked).into_iter().map(|read| (read.key, Amount::ZERO)).collect();
    Some(policy.decide(&asked, &zero))
}
