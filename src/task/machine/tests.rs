use super::*;

fn given(refused: &dyn Fn(u32) -> Option<&'static str>) -> RunContext<'_> {
    RunContext { wall_ms_max: 500, cpu_ms_max: 30_000, stopped: None, refused }
}

fn threw(call: Option<u32>) -> Outcome {
    let error = TaskError {
        name: "ToolPolicyError".into(),
        message: "denied".into(),
        code: "uncaught_exception".into(),
        ..TaskError::default()
    };
    Outcome::Threw { error, call }
}

#[test]
fn every_outcome_has_its_status_and_exit_code() {
    let one = || serde_json::value::RawValue::from_string("1".into()).unwrap();
    let table = [
        (Outcome::Returned { value: one() }, TaskStatus::Completed, 0, None),
        (threw(None), TaskStatus::Failed, 1, Some("denied")),
        (
            Outcome::MemoryLimit { message: "memory limit 64 MB exceeded".into() },
            TaskStatus::Failed,
            137,
            Some("memory limit 64 MB exceeded"),
        ),
        (Outcome::Lost { detail: "gone".into() }, TaskStatus::Failed, 1, Some("gone")),
        (Outcome::WallLimit, TaskStatus::TimedOut, 124, Some("time limit 500 ms exceeded")),
        (Outcome::CpuLimit, TaskStatus::TimedOut, 124, Some("cpu limit 30000 ms exceeded")),
        (Outcome::Cancelled, TaskStatus::Cancelled, 130, Some("the task was cancelled")),
    ];
    for (outcome, status, exit_code, message) in table {
        let end = conclude(outcome, given(&|_| None));
        assert_eq!((end.status, end.exit_code), (status, exit_code));
        assert_eq!(end.error.as_ref().map(|error| error.message.as_str()), message);
        assert_eq!(end.result.is_some(), status == TaskStatus::Completed);
    }
}

#[test]
fn only_a_call_that_the_host_refused_makes_a_task_denied() {
    let third = |call| (call == 3).then_some("approval_denied");
    let end = conclude(threw(Some(3)), given(&third));
    assert_eq!(
        (end.status, end.error.unwrap().code.as_str()),
        (TaskStatus::Denied, "approval_denied")
    );
    assert_eq!(conclude(threw(Some(3)), given(&third)).exit_code, 126);
    assert_eq!(conclude(threw(Some(2)), given(&third)).status, TaskStatus::Failed);
    assert_eq!(conclude(threw(None), given(&third)).status, TaskStatus::Failed);
}

#[test]
fn a_call_over_a_limit_fails_its_task_and_says_so() {
    let end = conclude(threw(Some(1)), given(&|_| Some("rate_limited")));
    assert_eq!(
        (end.status, end.exit_code, end.error.unwrap().code.as_str()),
        (TaskStatus::Failed, 1, "rate_limited")
    );
}

#[test]
fn a_server_that_stops_fails_its_tasks_and_does_not_cancel_them() {
    let given = RunContext { stopped: Some(StopCause::ServerStops), ..given(&|_| None) };
    let end = conclude(Outcome::Cancelled, given);
    assert_eq!(end.status, TaskStatus::Failed);
    assert_eq!(end.error.unwrap().message, "the server stopped while this task ran");
}

#[test]
fn a_terminal_status_never_changes() {
    for from in TaskStatus::ALL {
        for to in TaskStatus::ALL {
            if from.is_terminal() || to == TaskStatus::Queued || from == to {
                assert!(!may_become(from, to), "{from} must not become {to}");
            }
        }
        assert_eq!(exit_code(from).is_some(), from.is_terminal());
    }
}
