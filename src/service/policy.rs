//! Questions about policy: what is in force, why it decides as it does, and what other files would
//! decide. Nothing is called, counted or changed here.

use serde_json::{json, value::RawValue};

use super::{
    Service, ServiceError,
    requests::{
        PolicyCaller, PolicyExplain, PolicyFileText, PolicyLint, PolicyReplay, PolicyTest,
        PolicyTools, RecordedCall,
    },
    tasks::store_error,
    tools::unresolved,
    view::{
        PolicyExplanation, PolicyFindings, PolicyInForce, PolicyLayer, PolicyLimit,
        PolicyReplayResult, PolicyReplayResults, PolicyRule, PolicyTestResults, PolicyTool,
        PolicyToolList,
    },
};
use crate::{
    base::{offload::offload, plural::counted},
    catalog::{Tool, ToolFilter, Visibility},
    model::{ErrorCode, Timestamp},
    policy::{
        Amount, Call, Caller, CounterRead, CounterValues, Decision, EntryView, Explanation, Layer,
        LayerScope, Options, Policy, Problem, Reservation, RuleView, file::Action, lint,
    },
    store::CounterRead as StoreRead,
    task::policy_view::{ROLE, counter_window, facts},
};

/// Shows every tool, whatever policy hides: the owner asks.
pub(super) const EVERYTHING: &dyn ToolFilter = &|_: &Tool| Visibility::Auto;
/// Policy files in one request.
const FILES_MAX: usize = 64;
/// Calls in one request.
const CALLS_MAX: usize = 1000;
/// Tools in one answer.
const TOOLS_MAX: usize = 10_000;
/// The caller where the request does not name one.
const LOCAL: &str = "local";
/// The task of a call that is never made.
const NO_TASK: &str = "task_explained";

impl Service {
    pub(super) fn policy_show(&self) -> PolicyInForce {
        let standing = self.policy.status();
        let source = self.policy.source();
        let policy = self.policy.current();
        let compiled: Vec<_> = policy.layers().collect();
        let layers = source.files.iter().zip(&compiled).map(|(file, layer)| PolicyLayer {
            path: file.path.display().to_string(),
            scope: scope_text(&file.scope),
            upstream: file.upstream.clone(),
            default: layer.default.map(Into::into),
            shadow: layer.shadow,
        });
        PolicyInForce {
            status: if standing.problems.is_empty() { "ok" } else { "degraded" }.into(),
            revision: standing.revision,
            profile: standing.profile.as_str().into(),
            approvals: source.options.approvals,
            layers: layers.collect(),
            rules: rules(&policy),
            problems: standing.problems,
        }
    }

    pub(super) async fn policy_tools(&self, request: PolicyTools) -> PolicyToolList {
        let policy = self.policy.current();
        let tools = self.catalog.all().await;
        let wanted = tools
            .iter()
            .filter(|tool| request.upstream.as_ref().is_none_or(|name| *tool.upstream == **name))
            .take(TOOLS_MAX);
        PolicyToolList { tools: wanted.map(|tool| classified(tool, &policy)).collect() }
    }

    pub(super) async fn policy_explain(
        &self,
        request: PolicyExplain,
    ) -> Result<PolicyExplanation, ServiceError> {
        let tool = self.catalog.resolve(&request.tool, EVERYTHING).await.map_err(unresolved)?;
        let policy = self.policy.current();
        let empty = RawValue::from_string("{}".into()).expect("it is JSON");
        let args = request.args.unwrap_or(empty);
        let call = Call {
            tool: facts(&tool),
            args: &args,
            caller: request.caller.facts(),
            now: Timestamp::now(),
        };
        let reads = policy.counters_read(&call);
        let values = self.counter_values(&reads, call.now).await?;
        let known: CounterValues =
            reads.into_iter().zip(values).map(|(read, value)| (read.key, value)).collect();
        let explanation = policy.explain(&call, &known);
        let holds = &explanation.decision.reservations;
        let counted: Vec<_> = holds
            .iter()
            .map(|hold| CounterRead { key: hold.key.clone(), window: hold.window })
            .collect();
        let values = self.counter_values(&counted, call.now).await?;
        Ok(explained(&explanation, &values, &policy))
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
        let reads: Vec<_> = reads
            .iter()
            .map(|read| StoreRead {
                key: read.key.to_string(),
                window: counter_window(read.window),
            })
            .collect();
        let values = self.store.counters(at, &reads).await.map_err(store_error)?;
        Ok(values
            .into_iter()
            .map(|value| Amount::from_millionths(value).unwrap_or(Amount::MAX))
            .collect())
    }

    pub(super) async fn policy_lint(
        &self,
        request: PolicyLint,
    ) -> Result<PolicyFindings, ServiceError> {
        let layers = layers(request.0.files)?;
        let (options, tools) = (self.policy.source().options, self.catalog.all().await);
        offloaded(move || {
            let tools: Vec<_> = tools.iter().map(|tool| facts(tool)).collect();
            let findings =
                lint::lint(&layers, options, &tools).map_err(|problems| unusable(&problems))?;
            Ok(PolicyFindings { findings: findings.into_iter().map(Into::into).collect() })
        })
        .await
    }

    pub(super) async fn policy_test(
        &self,
        request: PolicyTest,
    ) -> Result<PolicyTestResults, ServiceError> {
        let layers = layers(request.0.files)?;
        let (options, tools) = (self.policy.source().options, self.catalog.all().await);
        offloaded(move || {
            let policy = Policy::load(layers, options).map_err(|problems| unusable(&problems))?;
            let find =
                |path: &str| tools.iter().find(|tool| tool.is_named(path)).map(|tool| facts(tool));
            let reports = policy.run_tests(Timestamp::now(), &find);
            Ok(PolicyTestResults { results: reports.into_iter().map(Into::into).collect() })
        })
        .await
    }

    pub(super) async fn policy_replay(
        &self,
        request: PolicyReplay,
    ) -> Result<PolicyReplayResults, ServiceError> {
        let PolicyReplay { files, calls } = request;
        if calls.len() > CALLS_MAX {
            let message = format!("`calls` has {} calls; the limit is {CALLS_MAX}", calls.len());
            return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
        }
        let layers = layers(files)?;
        let (options, tools) = (self.policy.source().options, self.catalog.all().await);
        offloaded(move || replay(layers, options, &tools, &calls)).await
    }
}

/// Runs work on the blocking pool that takes the processor for longer than a request may.
async fn offloaded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let done = offload(work).await;
    done.unwrap_or_else(|error| {
        Err(ServiceError::new(ErrorCode::Internal, "the request could not be answered")
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
        let message = format!("`files` has {} files; the limit is {FILES_MAX}", files.len());
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

/// The rules and the hidden tools of the policy, in the order of the files.
fn rules(policy: &Policy) -> Vec<PolicyRule> {
    let rule = |rule: RuleView<'_>| {
        let action = match rule.action {
            Action::Allow => "allow",
            Action::Ask => "ask",
            Action::Deny => "deny",
            Action::Evaluate => "guard",
        };
        let row = PolicyRule {
            file: rule.file.into(),
            line: rule.position.0,
            tools: rule.pattern.to_string(),
            name: rule.rule.name.to_string(),
            action: action.into(),
            conditional: rule.conditional,
            restricted: rule.restricted,
            limits: rule.limit_scopes.len(),
            shadow: rule.shadow,
        };
        (rule.layer_index, row)
    };
    let hidden = |entry: EntryView<'_>| {
        let row = PolicyRule {
            file: entry.file.into(),
            line: entry.position.0,
            tools: entry.pattern.to_string(),
            name: "hide".into(),
            action: "hide".into(),
            conditional: false,
            restricted: false,
            limits: 0,
            shadow: false,
        };
        (entry.layer_index, row)
    };
    let entries = policy.entries().filter(|entry| entry.hidden).map(hidden);
    let mut rows: Vec<_> = policy.rules().map(rule).chain(entries).collect();
    rows.sort_by_key(|(layer, row)| (*layer, row.line));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// A scope as requests and answers write it.
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
        format!("the policy files have {}: {first}", counted(problems.len(), "problem")),
    )
    .hint("`airlock policy validate FILE` lists them all")
}

/// A tool with its class of risk.
fn classified(tool: &Tool, policy: &Policy) -> PolicyTool {
    let sample = lint::sample(&tool.input_schema.value());
    let args = RawValue::from_string(sample.to_string()).expect("a JSON value is JSON");
    let nobody = PolicyCaller::default();
    let call =
        Call { tool: facts(tool), args: &args, caller: nobody.facts(), now: Timestamp::now() };
    // Only the class is wanted; counters do not matter to it.
    let explanation = policy.explain(&call, &CounterValues::none());
    PolicyTool {
        path: tool.path.to_string(),
        upstream: tool.upstream.to_string(),
        name: tool.name.to_string(),
        description: tool.description.to_string(),
        class: explanation.decision.class.as_str().into(),
        class_source: explanation.class_source,
        sample,
    }
}

fn explained(explanation: &Explanation, values: &[Amount], policy: &Policy) -> PolicyExplanation {
    let decision = &explanation.decision;
    let holds: Vec<_> =
        decision.reservations.iter().zip(values).map(|(hold, value)| limit(hold, *value)).collect();
    let mut text = explanation.to_string();
    for ((hold, value), limit) in decision.reservations.iter().zip(values).zip(&holds) {
        let full = if limit.admitted { "" } else { ": full, the call would be rate limited now" };
        text.push_str(&format!(
            "\n{} of {} per {} used now (rule `{}`){full}",
            value, hold.max, hold.window, hold.rule.name
        ));
    }
    PolicyExplanation {
        id: explanation.tool.clone(),
        tool: explanation.tool.clone(),
        status: decision.verdict.as_str().into(),
        class: decision.class.as_str().into(),
        class_source: explanation.class_source.clone(),
        rule: decision.rule.as_ref().map(Into::into),
        steps: explanation.steps.iter().map(Into::into).collect(),
        steps_dropped: explanation.steps_dropped,
        verdict: decision.into(),
        holds,
        shadow: decision.shadow.iter().map(Into::into).collect(),
        revision: policy.revision().to_string(),
        final_line: explanation.final_line(),
        text,
        line: decision.rule.as_ref().and_then(|rule| policy.line_of(rule)),
    }
}

/// A limit with the value of its counter.
fn limit(hold: &Reservation, used: Amount) -> PolicyLimit {
    PolicyLimit {
        rule: (&hold.rule).into(),
        window: hold.window.to_string(),
        used: used.as_f64(),
        cost: hold.cost.as_f64(),
        max: hold.max.as_f64(),
        admitted: used.checked_add(hold.cost).is_some_and(|sum| sum <= hold.max),
    }
}

/// The decisions of the files about each call. Limits are not counted.
fn replay(
    layers: Vec<Layer>,
    options: Options,
    tools: &[std::sync::Arc<Tool>],
    calls: &[RecordedCall],
) -> Result<PolicyReplayResults, ServiceError> {
    let policy = Policy::load(layers, options).map_err(|problems| unusable(&problems))?;
    let arguments = lint::ArgumentUse::of(&policy);
    let result = |call: &RecordedCall| {
        let tool = tools.iter().find(|tool| tool.is_named(&call.tool));
        let now = tool.and_then(|tool| decide_again(&policy, &arguments, tool, call));
        let change = match &now {
            None => "unknown",
            Some(now) if now.verdict.as_str() == call.was => "same",
            Some(_) => "changed",
        };
        PolicyReplayResult {
            call: call.call.clone(),
            tool: call.tool.clone(),
            status: change.into(),
            change: change.into(),
            was: call.was.clone(),
            was_rule: call.was_rule.clone(),
            now: now.as_ref().map(|now| now.verdict.as_str().into()),
            rule: now.and_then(|now| now.rule).map(|rule| rule.name.to_string()),
        }
    };
    Ok(PolicyReplayResults { results: calls.iter().map(result).collect() })
}

/// The decision now; none where it depends on arguments that are not on record.
fn decide_again(
    policy: &Policy,
    arguments: &lint::ArgumentUse<'_>,
    tool: &Tool,
    call: &RecordedCall,
) -> Option<Decision> {
    let args = match &call.arguments {
        Some(args) => args.clone(),
        None if call.argument_keys.is_empty() => json!({}),
        None if !arguments.affects(&facts(tool)) => json!({}),
        None => return None,
    };
    let args = RawValue::from_string(args.to_string()).ok()?;
    let caller = PolicyCaller {
        workspace: call.workspace.clone(),
        principal: call.principal.clone(),
        session: call.session.clone(),
        ..PolicyCaller::default()
    };
    let again = Call { tool: facts(tool), args: &args, caller: caller.facts(), now: call.at };
    let zero =
        policy.counters_read(&again).into_iter().map(|read| (read.key, Amount::ZERO)).collect();
    Some(policy.decide(&again, &zero))
}
