use proptest::prelude::*;

use super::*;

fn context(rejected: &dyn Fn(u32) -> Option<&'static str>) -> RunContext<'_> {
    RunContext { wall_ms_max: 500, cpu_ms_max: 30_000, stopped: None, difference: None, rejected }
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
        let end = conclude(outcome, context(&|_| None));
        assert_eq!((end.status, end.exit_code), (status, exit_code));
        assert_eq!(end.error.as_ref().map(|error| error.message.as_str()), message);
        assert_eq!(end.result.is_some(), status == TaskStatus::Completed);
    }
}

#[test]
fn only_a_call_that_the_host_rejected_makes_a_task_denied() {
    let third = |call| (call == 3).then_some("approval_denied");
    let end = conclude(threw(Some(3)), context(&third));
    assert_eq!(
        (end.status, end.error.unwrap().code.as_str()),
        (TaskStatus::Denied, "approval_denied")
    );
    assert_eq!(conclude(threw(Some(3)), context(&third)).exit_code, 126);
    assert_eq!(conclude(threw(Some(2)), context(&third)).status, TaskStatus::Failed);
    assert_eq!(conclude(threw(None), context(&third)).status, TaskStatus::Failed);
}

#[test]
fn a_call_over_a_limit_fails_its_task_and_says_so() {
    let end = conclude(threw(Some(1)), context(&|_| Some("rate_limited")));
    assert_eq!(
        (end.status, end.exit_code, end.error.unwrap().code.as_str()),
        (TaskStatus::Failed, 1, "rate_limited")
    );
}

#[test]
fn a_server_that_stops_fails_its_tasks_and_does_not_cancel_them() {
    let context_of_stop =
        RunContext { stopped: Some(StopCause::ServerStops), ..context(&|_| None) };
    let end = conclude(Outcome::Cancelled, context_of_stop);
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

fn any_event() -> impl Strategy<Value = TaskEvent> {
    prop_oneof![
        2 => (0..10_u64).prop_map(|queue_ms| TaskEvent::Begun { queue_ms }),
        4 => Just(TaskEvent::CallSuspended),
        4 => Just(TaskEvent::CallResumed),
        1 => prop::sample::select(vec![StopCause::Cancelled, StopCause::ServerStops])
            .prop_map(TaskEvent::StopRequested),
        1 => prop::sample::select(TaskStatus::ALL.to_vec()).prop_map(TaskEvent::Ended),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_happens_a_status_follows_the_table_and_is_reported_as_it_changes(
        events in prop::collection::vec(any_event(), 0..40),
    ) {
        let mut state = TaskState::submitted();
        let mut suspended = 0_u32;
        for event in events {
            let before = state;
            let (after, actions) = before.step(event);
            if before.status().is_terminal() {
                prop_assert_eq!((after, actions.len()), (before, 0), "an end is the end");
                continue;
            }
            let changed = before.status() != after.status();
            prop_assert!(!changed || may_become(before.status(), after.status()));
            let published = actions.iter().filter_map(|action| match action {
                TaskAction::PublishStatus(status) => Some(*status),
                _ => None,
            });
            prop_assert_eq!(
                published.collect::<Vec<_>>(),
                Vec::from_iter(changed.then_some(after.status()))
            );
            let recorded = actions.iter().filter_map(|action| match action {
                TaskAction::RecordStatus(status, _) => Some(*status),
                _ => None,
            });
            let is_recorded = changed && !after.status().is_terminal();
            prop_assert_eq!(
                recorded.collect::<Vec<_>>(),
                Vec::from_iter(is_recorded.then_some(after.status()))
            );
            match event {
                TaskEvent::CallSuspended if before.status() != TaskStatus::Queued => suspended += 1,
                TaskEvent::CallResumed => suspended = suspended.saturating_sub(1),
                _ => {}
            }
            let waits = after.status() == TaskStatus::AwaitingApproval;
            prop_assert_eq!(waits, suspended > 0 && !after.status().is_terminal());
            state = after;
        }
    }

    #[test]
    fn a_run_is_stopped_once_and_the_first_cause_counts(
        events in prop::collection::vec(any_event(), 0..40),
    ) {
        let (mut state, mut stopped) = (TaskState::submitted(), None);
        for event in events {
            let is_over = state.status().is_terminal();
            let (after, actions) = state.step(event);
            let cancels = actions.contains(&TaskAction::CancelRun);
            if let TaskEvent::StopRequested(cause) = event
                && !is_over
            {
                prop_assert_eq!(cancels, stopped.is_none());
                stopped.get_or_insert(cause);
            } else {
                prop_assert!(!cancels);
            }
            prop_assert_eq!(after.stop_cause(), stopped);
            state = after;
        }
    }
}
