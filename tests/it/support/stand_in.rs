//! A service that does what the "code" says, without a sandbox: for tests of the protocols alone.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use airlock::{
    model::{
        Event, EventData, LogLevel, LogLine, Logs, NoDetails, Principal, RawJson, Task, TaskError,
        TaskId, TaskStatus, Timestamp, Usage,
    },
    service::{
        ApprovalAnswer, ApprovalList, ApprovalListAnswer, Execute, Health, NamespaceCount,
        Patience, Progress, ProgressSink, ResultPage, ServiceError, TaskAnswer, TaskCancel,
        TaskEvents, TaskEventsAnswer, TaskGet, TaskList, TaskListAnswer, ToolList, Word,
    },
    transport::{Asked, Port},
};
use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;

use airlock::model::ErrorCode;

/// The largest result that an answer holds whole.
const WHOLE_MAX: usize = 1024 * 1024;

/// Understands these programs: `return 1 + 1`, `sleep MS`, `big CHARS`, `end STATUS EXIT`, `panic`,
/// `internal`, `busy`, `log`, `print`.
pub(crate) struct StandIn {
    inner: Arc<Inner>,
    /// How long a short hold is.
    pub(crate) hold: Duration,
}

pub(crate) struct Inner {
    tasks: Mutex<HashMap<TaskId, watch::Sender<Kept>>>,
    /// Every cancellation that was asked for.
    pub(crate) cancelled: Mutex<Vec<String>>,
    /// Who asked for executions.
    pub(crate) callers: Mutex<Vec<Principal>>,
    pub(crate) namespaces: Mutex<Vec<NamespaceCount>>,
    pub(crate) changed: watch::Sender<u64>,
    /// How often somebody asked for the health.
    pub(crate) healths: AtomicUsize,
}

#[derive(Clone)]
struct Kept {
    task: Task,
    result: Option<RawJson>,
}

impl StandIn {
    pub(crate) fn new(hold: Duration) -> (Arc<Self>, Arc<Inner>) {
        let inner = Arc::new(Inner {
            tasks: Mutex::default(),
            cancelled: Mutex::default(),
            callers: Mutex::default(),
            namespaces: Mutex::new(vec![NamespaceCount {
                namespace: "everything".to_owned(),
                tools: 13,
                is_down: false,
            }]),
            changed: watch::channel(0).0,
            healths: AtomicUsize::new(0),
        });
        (Arc::new(Self { inner: inner.clone(), hold }), inner)
    }

    fn find(&self, id: &str) -> Result<watch::Receiver<Kept>, ServiceError> {
        let id: TaskId = id
            .parse()
            .map_err(|error| ServiceError::new(ErrorCode::InvalidArgument, format!("{error}")))?;
        let tasks = self.inner.tasks.lock();
        let kept = tasks.get(&id).map(watch::Sender::subscribe);
        kept.ok_or_else(|| {
            ServiceError::new(ErrorCode::TaskNotFound, format!("there is no task `{id}`"))
        })
    }
}

/// A record of a task that waits.
pub(crate) fn queued(code: &str) -> Task {
    Task {
        task_id: TaskId::new(),
        status: TaskStatus::Queued,
        code: code.to_owned(),
        runtime_id: "local-v8".to_owned(),
        timeout_ms: 300_000,
        metadata: None,
        principal: Principal::local("test"),
        created_at: Timestamp::now(),
        started_at: None,
        completed_at: None,
        exit_code: None,
        result_bytes: None,
        error: None,
        logs: Logs::default(),
        warnings: Vec::new(),
        usage: Usage::default(),
    }
}

fn end(kept: &mut Kept, status: TaskStatus, exit: i32, result: Option<serde_json::Value>) {
    if kept.task.status.is_terminal() {
        return;
    }
    kept.task.status = status;
    kept.task.exit_code = Some(exit);
    kept.task.completed_at = Some(Timestamp::now());
    kept.result = result.map(|value| serde_json::value::to_raw_value(&value).unwrap());
    kept.task.result_bytes = kept.result.as_ref().map(|raw| raw.get().len() as u64);
    if status != TaskStatus::Completed {
        kept.task.error = Some(TaskError {
            name: "TypeError".to_owned(),
            message: "x is not a function".to_owned(),
            code: "uncaught_exception".to_owned(),
            line: Some(7),
            column: Some(9),
            hint: Some("call something else".to_owned()),
            ..TaskError::default()
        });
    }
}

async fn run(code: String, record: watch::Sender<Kept>) {
    record.send_modify(|kept| kept.task.status = TaskStatus::Running);
    let words: Vec<_> = code.split_whitespace().collect();
    let ended = |status, exit, result| record.send_modify(|kept| end(kept, status, exit, result));
    match words.as_slice() {
        ["sleep", ms] => {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
            ended(TaskStatus::Completed, 0, Some(json!("slept")));
        }
        ["big", chars] => {
            ended(TaskStatus::Completed, 0, Some(json!("x".repeat(chars.parse().unwrap()))))
        }
        ["end", status, exit] => {
            ended(TaskStatus::parse(status).unwrap(), exit.parse().unwrap(), None)
        }
        ["print"] => {
            use std::io::Write;
            std::io::stdout().write_all(b"a stray print\n").unwrap();
            ended(TaskStatus::Completed, 0, None);
        }
        ["log"] => {
            let lines = vec![
                LogLine { level: LogLevel::Info, text: "hello".into() },
                LogLine { level: LogLevel::Warn, text: "careful".into() },
            ];
            record.send_modify(|kept| kept.task.logs.lines = lines);
            ended(TaskStatus::Completed, 0, Some(json!({"a": [1, {"b": null}]})));
        }
        _ => ended(TaskStatus::Completed, 0, Some(json!(2))),
    }
}

fn seen(kept: &Kept) -> TaskAnswer {
    let whole = kept.result.clone().filter(|raw| raw.get().len() <= WHOLE_MAX);
    TaskAnswer { task: kept.task.clone(), result: whole, page: None, approvals: vec![] }
}

impl Port for StandIn {
    fn execute<'a>(
        &'a self,
        who: &'a Principal,
        request: Execute,
        patience: Patience,
        progress: ProgressSink,
    ) -> Asked<'a, TaskAnswer> {
        async move {
            self.inner.callers.lock().push(who.clone());
            match request.code.as_str() {
                "panic" => panic!("asked for"),
                "internal" => {
                    return Err(ServiceError::new(ErrorCode::Internal, "something broke")
                        .caused_by("the secret cause"));
                }
                "busy" => {
                    let mut busy =
                        ServiceError::new(ErrorCode::Busy, "1000 tasks are queued, at most 1000");
                    busy.retry_after_ms = Some(1500);
                    return Err(busy.hint("retry a little later"));
                }
                _ => {}
            }
            let task = Task {
                principal: Principal { session_id: request.session_id, ..who.clone() },
                metadata: request.metadata,
                ..queued(&request.code)
            };
            let id = task.task_id;
            let (record, mut kept) = watch::channel(Kept { task, result: None });
            self.inner.tasks.lock().insert(id, record.clone());
            let said = Some("7 of 9, packing".into());
            progress.send_replace(Some(Progress {
                task_id: id,
                status: TaskStatus::Running,
                tool_calls: 3,
                said,
            }));
            tokio::spawn(run(request.code, record));
            let hold = match (request.wait_for_result, request.result_timeout_ms, patience) {
                (Some(false), _, _) => Duration::ZERO,
                (_, Some(ms), _) => Duration::from_millis(ms),
                (_, None, Patience::Short) => self.hold,
                (_, None, Patience::Long) => Duration::from_secs(330),
            };
            let _ =
                tokio::time::timeout(hold, kept.wait_for(|kept| kept.task.status.is_terminal()))
                    .await;
            let answer = seen(&kept.borrow());
            Ok(answer)
        }
        .boxed()
    }

    fn task_get<'a>(&'a self, _: &'a Principal, request: TaskGet) -> Asked<'a, TaskAnswer> {
        async move {
            let mut kept = self.find(&request.task_id)?;
            let wait = Duration::from_millis(request.wait_ms.unwrap_or(0));
            let _ =
                tokio::time::timeout(wait, kept.wait_for(|kept| kept.task.status.is_terminal()))
                    .await;
            let kept = kept.borrow().clone();
            let mut answer = seen(&kept);
            if request.result_offset.is_some() || request.result_limit.is_some() {
                let text = kept.result.as_ref().map_or("", |raw| raw.get());
                let from = (request.result_offset.unwrap_or(0) as usize).min(text.len());
                let to = (from + request.result_limit.unwrap_or(WHOLE_MAX as u64) as usize)
                    .min(text.len());
                answer.result = None;
                answer.page = Some(ResultPage {
                    text: text[from..to].to_owned(),
                    offset: from as u64,
                    next_offset: (to < text.len()).then_some(to as u64),
                    total_bytes: text.len() as u64,
                });
            }
            Ok(answer)
        }
        .boxed()
    }

    fn task_list<'a>(&'a self, _: &'a Principal, request: TaskList) -> Asked<'a, TaskListAnswer> {
        async move {
            let all = self.inner.tasks.lock();
            let mut tasks: Vec<_> = all.values().map(|kept| kept.borrow().task.clone()).collect();
            tasks.retain(|task| request.status.is_none_or(|status| task.status == status));
            tasks.sort_by_key(|task| std::cmp::Reverse(task.task_id));
            tasks.truncate(request.limit.unwrap_or(50) as usize);
            Ok(TaskListAnswer { tasks, next_cursor: None })
        }
        .boxed()
    }

    fn task_cancel<'a>(&'a self, _: &'a Principal, request: TaskCancel) -> Asked<'a, TaskAnswer> {
        async move {
            let kept = self.find(&request.task_id)?;
            self.inner.cancelled.lock().push(request.task_id);
            let id = kept.borrow().task.task_id;
            self.inner.tasks.lock()[&id]
                .send_modify(|kept| end(kept, TaskStatus::Cancelled, 130, None));
            let answer = seen(&kept.borrow());
            Ok(answer)
        }
        .boxed()
    }

    fn task_events<'a>(
        &'a self,
        _: &'a Principal,
        request: TaskEvents,
    ) -> Asked<'a, TaskEventsAnswer> {
        async move {
            let task_id = self.find(&request.task_id)?.borrow().task.task_id;
            let event = Event {
                task_id,
                seq: 1,
                at: Timestamp::now(),
                data: EventData::TaskCreated(NoDetails {}),
            };
            Ok(TaskEventsAnswer { events: vec![event], next_after: 1 })
        }
        .boxed()
    }

    fn tools<'a>(&'a self, _: &'a Principal, request: ToolList) -> Asked<'a, RawJson> {
        let answer =
            json!({"results": [{"path": "everything.echo"}], "total": 1, "query": request.query});
        async move { Ok(serde_json::value::to_raw_value(&answer).unwrap()) }.boxed()
    }

    fn tool<'a>(&'a self, _: &'a Principal, path: String) -> Asked<'a, RawJson> {
        async move {
            if path != "everything.echo" {
                return Err(ServiceError::new(
                    ErrorCode::ToolNotFound,
                    format!("there is no tool `{path}`"),
                ));
            }
            Ok(serde_json::value::to_raw_value(&json!({"path": path})).unwrap())
        }
        .boxed()
    }

    fn tool_types<'a>(&'a self, _: &'a Principal, _: Option<String>) -> Asked<'a, String> {
        async { Ok("interface Tools {}\n".to_owned()) }.boxed()
    }

    fn tools_refresh<'a>(
        &'a self,
        _: &'a Principal,
        upstream: Option<String>,
    ) -> Asked<'a, RawJson> {
        let answer = json!({"results": [{"name": upstream.unwrap_or("everything".to_owned()), "status": "ready"}]});
        async move { Ok(serde_json::value::to_raw_value(&answer).unwrap()) }.boxed()
    }

    fn approvals<'a>(&'a self, _: &'a Principal, _: ApprovalList) -> Asked<'a, ApprovalListAnswer> {
        async { Ok(ApprovalListAnswer { approvals: vec![], next_cursor: None }) }.boxed()
    }

    fn approval<'a>(&'a self, _: &'a Principal, id: &'a str) -> Asked<'a, ApprovalAnswer> {
        async move {
            Err(ServiceError::new(
                ErrorCode::ApprovalNotFound,
                format!("there is no approval `{id}`"),
            ))
        }
        .boxed()
    }

    fn decide_approval<'a>(&'a self, who: &'a Principal, word: Word) -> Asked<'a, ApprovalAnswer> {
        async move { self.approval(who, &word.id).await }.boxed()
    }

    fn artifacts<'a>(
        &'a self,
        _: &'a Principal,
        _: airlock::service::ArtifactList,
    ) -> Asked<'a, serde_json::Value> {
        async { Ok(json!({ "artifacts": [], "nextCursor": null })) }.boxed()
    }

    fn artifact<'a>(
        &'a self,
        _: &'a Principal,
        id: &'a str,
    ) -> Asked<'a, airlock::model::Artifact> {
        async move {
            Err(ServiceError::new(
                ErrorCode::ArtifactNotFound,
                format!("there is no artifact `{id}`"),
            ))
        }
        .boxed()
    }

    fn artifact_bytes<'a>(
        &'a self,
        _: &'a Principal,
        _: &'a airlock::model::Artifact,
        _: u64,
    ) -> Asked<'a, Vec<u8>> {
        async { Ok(vec![]) }.boxed()
    }

    fn remove_artifact<'a>(
        &'a self,
        who: &'a Principal,
        id: &'a str,
    ) -> Asked<'a, serde_json::Value> {
        async move { self.artifact(who, id).await.map(|_| json!({})) }.boxed()
    }

    fn policy(&self, _: airlock::service::PolicyQuestion) -> Asked<'_, serde_json::Value> {
        Box::pin(async {
            Err(ServiceError::new(ErrorCode::StoreUnavailable, "there is no policy here"))
        })
    }

    fn namespaces(&self, _: &Principal) -> Vec<NamespaceCount> {
        self.inner.namespaces.lock().clone()
    }

    fn tools_changed(&self) -> [watch::Receiver<u64>; 2] {
        [self.inner.changed.subscribe(), self.inner.changed.subscribe()]
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        async {
            self.inner.healths.fetch_add(1, Ordering::Relaxed);
            Health {
                status: "ok".to_owned(),
                version: "0.0.0".to_owned(),
                sandbox: json!({"tier": "basic"}),
                store: json!({"status": "ok"}),
                policy: json!({"status": "ok"}),
                upstreams: json!([]),
            }
        }
        .boxed()
    }
}
