//! Roles at the service: what an agent can never do, whatever transport it comes through, and what
//! a trace says of a request.

use std::sync::Arc;

use airlock::{
    model::{ApprovalStatus, ArtifactId, ErrorCode, Principal, Role, TaskStatus},
    policy::Profile,
    service::{
        ApprovalDecision, ApprovalGet, ApprovalList, ArtifactGet, ArtifactList, ArtifactRead,
        ArtifactRemove, Execute, Execution, PolicyFiles, PolicyReplay, PolicyShow, PolicyTest,
        Request, TaskGet, ToolRefresh, WaitPolicy,
    },
};
use parking_lot::Mutex;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::support::{
    server::eventually,
    service::{Setup, TestService},
};

/// A program whose call waits for an approval, where the profile is `auto`.
const ASKS: &str = "await tools.everything.notes.add({ text: \"hello\" })";

/// A service with a task that waits for an approval; the task's id and the approval's.
async fn waiting() -> (TestService, String, String) {
    let setup = Setup { profile: Profile::Auto, ..Setup::upstream(&[]) };
    let below = TestService::start(&setup).await;
    let arguments =
        Execute { code: ASKS.into(), wait_for_result: Some(false), ..Execute::default() };
    let execution = Execution::unwatched(arguments, WaitPolicy::Full);
    let task = below.service.call(&Principal::local("test"), execution).await.unwrap();
    let approval = eventually("an approval waits", async || {
        let owner = Principal::owner("test");
        let page = below.service.call(&owner, ApprovalList::default()).await.unwrap();
        page.approvals.first().map(|approval| approval.id.to_string())
    })
    .await;
    (below, task.outcome.task_id.to_string(), approval)
}

fn approve(id: &str) -> ApprovalDecision {
    ApprovalDecision {
        id: id.to_owned(),
        approve: true,
        note: None,
        decided_by: "owner (command line)".into(),
    }
}

async fn is_forbidden<R: Request>(below: &TestService, who: &Principal, request: R) {
    match below.service.call(who, request).await {
        Ok(_) => panic!("{who:?} may not do this"),
        Err(error) => assert_eq!(error.code, ErrorCode::Forbidden, "{error}"),
    }
}

#[tokio::test]
async fn an_agent_can_neither_see_nor_decide_an_approval() {
    let (below, task, approval) = waiting().await;
    let admin = Principal { roles: [Role::Agent, Role::Admin].into(), ..Principal::local("test") };
    for who in [Principal::local("mcp"), Principal::local("stdio"), admin] {
        is_forbidden(&below, &who, ApprovalList::default()).await;
        is_forbidden(&below, &who, ApprovalGet { id: approval.clone() }).await;
        is_forbidden(&below, &who, approve(&approval)).await;
    }
    let owner = Principal::owner("test");
    let row = below.service.call(&owner, ApprovalGet { id: approval.clone() }).await.unwrap();
    assert_eq!(row.status, ApprovalStatus::Pending, "nothing was decided");
    let row = below.service.call(&owner, approve(&approval)).await.unwrap();
    assert_eq!(row.decided_by.as_deref(), Some("owner (command line)"));
    let request = TaskGet { task_id: task, wait_ms: Some(30_000), ..TaskGet::default() };
    let ended = below.service.call(&Principal::local("test"), request).await.unwrap();
    assert_eq!(ended.outcome.status, TaskStatus::Completed, "{:?}", ended.outcome.error);
}

#[tokio::test]
async fn an_agent_can_neither_read_artifacts_nor_ask_about_policy() {
    let below = TestService::start(&Setup::default()).await;
    let approver =
        Principal { roles: [Role::Agent, Role::Approver].into(), ..Principal::local("test") };
    for who in [Principal::local("mcp"), approver] {
        let id = ArtifactId::new();
        is_forbidden(&below, &who, ArtifactList::default()).await;
        is_forbidden(&below, &who, ArtifactGet { id: id.to_string() }).await;
        is_forbidden(&below, &who, ArtifactRead { id, part: 0 }).await;
        is_forbidden(&below, &who, ArtifactRemove { id: id.to_string() }).await;
        is_forbidden(&below, &who, PolicyShow).await;
        is_forbidden(&below, &who, PolicyTest(PolicyFiles { files: vec![] })).await;
        is_forbidden(&below, &who, PolicyReplay { files: vec![], calls: vec![] }).await;
        is_forbidden(&below, &who, ToolRefresh::default()).await;
    }
}

/// Spans that were made, each with its fields in one string.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(String, String)>>>);

struct Fields<'s>(&'s mut String);

impl Spans {
    fn add(&self, name: &str, record: impl FnOnce(&mut Fields<'_>)) {
        let mut fields = String::new();
        record(&mut Fields(&mut fields));
        self.0.lock().push((name.to_owned(), fields));
    }
}

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        self.add(attributes.metadata().name(), |fields| attributes.record(fields));
    }

    fn on_record(
        &self,
        _: &tracing::span::Id,
        values: &tracing::span::Record<'_>,
        _: Context<'_, S>,
    ) {
        self.add("recorded later", |fields| values.record(fields));
    }
}

#[tokio::test]
async fn a_request_has_one_span_that_names_the_caller_and_never_the_code() {
    let below = TestService::start(&Setup::default()).await;
    let spans = Spans::default();
    let _default =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let arguments = Execute {
        code: "return \"a secret of the program\"".into(),
        session_id: Some("night".into()),
        ..Execute::default()
    };
    let execution = Execution::unwatched(arguments, WaitPolicy::Full);
    below.service.call(&Principal::local("some-client"), execution).await.unwrap();
    let all = spans.0.lock().clone();
    let commands: Vec<_> = all.iter().filter(|(name, _)| name == "command").collect();
    let [(_, fields)] = commands.as_slice() else { panic!("{all:?}") };
    for field in ["name=\"execute\"", "workspace=\"local\"", "client=\"some-client\""] {
        assert!(fields.contains(field), "{fields}");
    }
    assert!(all.iter().any(|(_, fields)| fields.contains("session=\"night\"")), "{all:?}");
    assert!(all.iter().all(|(_, fields)| !fields.contains("a secret")), "{all:?}");
}

#[tokio::test]
async fn a_task_and_its_calls_have_spans_that_name_them_and_never_the_arguments() {
    let below = TestService::start(&Setup::upstream(&[])).await;
    let spans = Spans::default();
    let _default =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let code = "await tools.discover(\"a secret question\");
        return await tools.everything.add({ a: 19, b: 23 })"
        .into();
    let execution = Execution::unwatched(Execute { code, ..Execute::default() }, WaitPolicy::Full);
    below.service.call(&Principal::local("some-client"), execution).await.unwrap();
    let all = spans.0.lock().clone();
    let fields = |wanted: &str| {
        let mut found = all.iter().filter(|(name, _)| name == wanted);
        found.next().unwrap_or_else(|| panic!("no span `{wanted}`: {all:?}")).1.clone()
    };
    for field in ["id=task_", "workspace=\"local\"", "runtime=\"local-"] {
        assert!(fields("task").contains(field), "{}", fields("task"));
    }
    for field in ["seq=1", "tool=\"discover\""] {
        assert!(fields("call").contains(field), "{}", fields("call"));
    }
    for field in ["upstream=everything", "method=\"tools/call\""] {
        assert!(fields("upstream request").contains(field), "{}", fields("upstream request"));
    }
    assert!(all.iter().all(|(_, fields)| !fields.contains("a secret")), "{all:?}");
}
