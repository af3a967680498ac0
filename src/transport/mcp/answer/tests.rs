use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::*;
use crate::{
    model::{LogLine, Principal, RawJson, Task, TaskId, Usage},
    service::view::TaskRow,
};

/// A task whose every field is the same on every run.
fn task_of(status: TaskStatus, exit_code: Option<i32>) -> Task {
    let id: TaskId = "task_01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    Task {
        task_id: id,
        status,
        code: "return 1 + 1".to_owned(),
        runtime_id: "local-v8".to_owned(),
        timeout_ms: 300_000,
        metadata: None,
        principal: Principal::local("test"),
        created_at: at,
        started_at: Some(at),
        completed_at: exit_code.map(|_| at),
        exit_code,
        result_bytes: None,
        error: None,
        logs: Logs::default(),
        warnings: Vec::new(),
        usage: Usage { wall_ms: 3, cpu_ms: 2, ..Usage::default() },
    }
}

fn outcome_of(task: &Task) -> TaskOutcome {
    TaskRecord::from(task).outcome
}

fn with_raw(raw: RawJson) -> TaskOutcome {
    let bytes = raw.get().len() as u64;
    let task = task_of(TaskStatus::Completed, Some(0));
    TaskRecord::from(&task).with_result(Some(&raw), bytes).outcome
}

fn completed(value: &Value) -> TaskOutcome {
    with_raw(to_raw_value(value).unwrap())
}

fn failed_task() -> Task {
    let mut task = task_of(TaskStatus::Failed, Some(1));
    task.error = Some(TaskError {
        name: "TypeError".to_owned(),
        message: "x is\nnot a function".to_owned(),
        code: "uncaught_exception".to_owned(),
        line: Some(7),
        column: Some(9),
        frame: Some("  6 | const x = 1\n> 7 |   y = x()\n    |         ^\n".to_owned()),
        stack: None,
        hint: Some("`x` is a number".to_owned()),
    });
    task.logs.lines = vec![LogLine { level: LogLevel::Warn, text: "careful".to_owned() }];
    task.logs.dropped_lines = 2;
    task.logs.dropped_bytes = 80;
    task.warnings = vec!["a value was not finite".to_owned()];
    task
}

fn failed() -> TaskOutcome {
    outcome_of(&failed_task())
}

fn text_of(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

#[test]
fn the_text_of_two_is_the_contracts() {
    assert_snapshot!(text_of(&outcome(&completed(&json!(2)), None, vec![])), @r"
    taskId: task_01890a5d-ac96-774b-bcce-b302099a8057
    status: completed
    runtimeId: local-v8
    exitCode: 0

    ```json
    2
    ```
    ");
}

#[test]
fn an_object_keeps_its_order_and_is_indented() {
    let text = outcome(&completed(&json!({"z": [1, {}], "a": null})), None, vec![]);
    assert_snapshot!(text_of(&text).split_once("\n\n").unwrap().1, @r#"
    ```json
    {
      "z": [
        1,
        {}
      ],
      "a": null
    }
    ```
    "#);
}

#[test]
fn a_failure_says_where_and_what_to_do() {
    let answer = outcome(&failed(), None, vec![]);
    assert_eq!(answer.is_error, Some(true));
    assert_snapshot!(text_of(&answer), @r"
    taskId: task_01890a5d-ac96-774b-bcce-b302099a8057
    status: failed
    runtimeId: local-v8
    exitCode: 1
    error: TypeError: x is not a function (line 7, column 9)

    ```
      6 | const x = 1
    > 7 |   y = x()
        |         ^
    ```

    hint: `x` is a number

    logs:
    ```
    warn: careful
    ... [2 lines dropped, 80 bytes]
    ```

    warnings:
    - a value was not finite
    ");
}

#[test]
fn a_failures_structure_stands_alone() {
    let answer = outcome(&failed(), None, vec![]);
    assert_json_snapshot!(answer.structured_content, @r#"
    {
      "taskId": "task_01890a5d-ac96-774b-bcce-b302099a8057",
      "status": "failed",
      "runtimeId": "local-v8",
      "exitCode": 1,
      "result": null,
      "workspaceId": "local",
      "accountId": "local",
      "sessionId": null,
      "error": {
        "name": "TypeError",
        "message": "x is\nnot a function",
        "code": "uncaught_exception",
        "line": 7,
        "column": 9,
        "frame": "  6 | const x = 1\n> 7 |   y = x()\n    |         ^\n",
        "hint": "`x` is a number"
      },
      "logs": {
        "lines": [
          {
            "level": "warn",
            "text": "careful"
          }
        ],
        "droppedLines": 2,
        "droppedBytes": 80
      },
      "warnings": [
        "a value was not finite"
      ],
      "usage": {
        "wallMs": 3,
        "cpuMs": 2,
        "queueMs": 0,
        "toolWaitMs": 0,
        "approvalWaitMs": 0,
        "toolCalls": 0,
        "heapPeakBytes": 0
      }
    }
    "#);
}

#[test]
fn a_task_that_goes_on_is_no_error_and_says_how_to_wait() {
    for status in [TaskStatus::Queued, TaskStatus::Running, TaskStatus::AwaitingApproval] {
        let task = outcome_of(&task_of(status, None));
        assert_eq!(outcome(&task, None, vec![]).is_error, Some(false), "{status}");
    }
    let task = outcome_of(&task_of(TaskStatus::Running, None));
    assert_snapshot!(text_of(&outcome(&task, None, vec![])), @r#"
    taskId: task_01890a5d-ac96-774b-bcce-b302099a8057
    status: running
    runtimeId: local-v8

    The task goes on. Call task_get with {"taskId":"task_01890a5d-ac96-774b-bcce-b302099a8057","waitMs":50000} to wait for its end, or task_cancel to stop it.
    "#);
}

#[test]
fn the_text_never_passes_its_cap_whatever_is_in_it() {
    let mut worst = completed(&json!("ü".repeat(500_000)));
    let lines = vec![LogLine { level: LogLevel::Info, text: "l".repeat(64 * 1024) }];
    worst.logs = Some(Logs { lines, ..Logs::default() });
    worst.warnings = vec!["w".repeat(10_000)];
    let answer = outcome(&worst, None, vec![]);
    let text = text_of(&answer);
    assert!(text.chars().count() <= TEXT_CHARS_MAX, "{}", text.chars().count());
    assert!(text.contains("[result preview truncated "));
    assert!(
        text.chars().count() > TEXT_CHARS_MAX - 200,
        "the room is used: {}",
        text.chars().count()
    );

    let mut worst = failed();
    let error = worst.error.as_mut().unwrap();
    error.message = "m".repeat(8192);
    error.frame = Some("f".repeat(50_000));
    error.hint = Some("h".repeat(50_000));
    let lines = vec![LogLine { level: LogLevel::Info, text: "l".repeat(64 * 1024) }];
    worst.logs = Some(Logs { lines, ..Logs::default() });
    let answer = outcome(&worst, None, vec![]);
    // The smallest client cuts the text of an error at about 11 000 characters.
    assert!(text_of(&answer).chars().count() <= 11_000, "{}", text_of(&answer).chars().count());
}

#[test]
fn what_is_cut_and_what_is_shown_make_the_whole() {
    for length in [29_500, 29_900, 30_000, 100_000] {
        let value = json!("x".repeat(length));
        let answer = outcome(&completed(&value), None, vec![]);
        let text = text_of(&answer);
        let shown = text.lines().find(|line| line.starts_with('"')).unwrap().len();
        let missing = text
            .split("truncated ")
            .nth(1)
            .map_or(0, |rest| rest.split(' ').next().unwrap().parse().unwrap());
        assert_eq!(shown + missing, length + 2, "{length}");
    }
}

#[test]
fn a_result_nested_too_deep_is_given_as_text_with_a_warning() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let task = with_raw(RawValue::from_string(deep.clone()).unwrap());
    let structured = outcome(&task, None, vec![]).structured_content.unwrap();
    assert_eq!(structured["result"], deep);
    assert!(structured["warnings"][0].as_str().unwrap().contains("128 levels"));
}

#[test]
fn a_result_that_cannot_be_read_is_given_as_text_with_the_reason() {
    let half = r#""\ud83d""#.to_owned();
    let task = with_raw(RawValue::from_string(half.clone()).unwrap());
    let structured = outcome(&task, None, vec![]).structured_content.unwrap();
    assert_eq!(structured["result"], half);
    let warning = structured["warnings"][0].as_str().unwrap();
    assert!(!warning.contains("nested") && warning.contains("hex escape"), "{warning}");
}

#[test]
fn a_list_names_each_task_and_the_next_page() {
    let tasks =
        vec![TaskRow::from(&failed_task()), TaskRow::from(&task_of(TaskStatus::Running, None))];
    let answer = task_list(&TaskPage { tasks, next_cursor: Some("c\"1".to_owned()) });
    assert_snapshot!(text_of(&answer), @r#"
    2 tasks, newest first
    task_01890a5d-ac96-774b-bcce-b302099a8057 failed 2026-01-02T03:04:05Z x is not a function
    task_01890a5d-ac96-774b-bcce-b302099a8057 running 2026-01-02T03:04:05Z

    more: call task_list with {"cursor":"c\"1"}
    "#);
    assert!(answer.structured_content.unwrap()["tasks"][0].get("code").is_none());
}
