//! Calls that wait for approval, and a person at a terminal who is asked about them.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::{
    approvals::ASKS,
    support::{
        policy::Policed,
        server::{PATIENCE, airlock},
        terminal::AtTerminal,
    },
};

/// Time for which a call has just appeared, in which nothing answers.
const UNREAD_FOR: Duration = Duration::from_secs(1);
const PROMPT: &str = "Approve? [y/N/d(eny with a reason)] ";

/// A program in a file beside the server's configuration.
fn program(policed: &Policed, code: &str) -> String {
    let file = policed.server.folder.path().join("program.ts");
    std::fs::write(&file, code).unwrap();
    file.to_str().unwrap().to_owned()
}

fn run(policed: &Policed, code: &str) -> AtTerminal {
    AtTerminal::start(&policed.server.config_file(), &["run", &program(policed, code)])
}

async fn approvals(policed: &Policed) -> Vec<Value> {
    let (_, page) = policed.server.owner(reqwest::Method::GET, "/v1/approvals").await;
    page["approvals"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_person_at_the_terminal_is_asked_and_sees_the_whole_call() {
    let policed = Policed::start(ASKS).await;
    let code = "await tools.demo.echo({ message: 'before' });
        return await tools.demo.notes.add({ text: 'a\\u202eb p\\u0430y \\u001b[2J' })";
    let mut terminal = run(&policed, code);
    let shown = terminal.shows(PROMPT, 1).await;
    for part in [
        "tool       demo.notes.add",
        "to         demo",
        "class      ",
        "account    local, requested by cli",
        "why        notes stay",
        "rule       notes-need-a-word (",
        "program    line 2: return await tools.demo.notes.add(",
        "before     demo.echo (completed)",
        "\"text\": \"a\\u{202e}b p\\u{430}y \\u001b[2J\"",
        "expires in ",
        "/approvals/apr_",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains('\u{202e}') && !shown.contains('\u{430}'), "{shown}");
    assert_eq!(policed.hits("notes.add"), 0);
    terminal.press("y\n");
    let (code, out, shown) = terminal.end().await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(serde_json::from_str::<Value>(&out).is_ok(), "only the result: {out}");
    let approval = approvals(&policed).await.remove(0);
    assert_eq!(
        (&approval["status"], &approval["decidedBy"], policed.hits("notes.add")),
        (&json!("consumed"), &json!("owner (command line)"), 1),
        "{approval}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_but_a_clear_yes_denies_or_asks_again() {
    let policed = Policed::start(ASKS).await;
    let code = "return await tools.demo.notes.add({ text: 'x' })";
    let reason = "Reason, which the program gets: ";
    for (steps, note) in [
        (&[(PROMPT, 1, "n\n")][..], None),
        (&[(PROMPT, 1, "\n")], None),
        (&[(PROMPT, 1, "d not on a Friday\n")], Some("not on a Friday")),
        (
            &[(PROMPT, 1, "ye\n"), (PROMPT, 2, "deny\n"), (reason, 1, "ask me tomorrow\n")],
            Some("ask me tomorrow"),
        ),
    ] {
        let mut terminal = run(&policed, code);
        for (text, times, keys) in steps {
            terminal.shows(text, *times).await;
            terminal.press(keys);
        }
        let (code, out, shown) = terminal.end().await;
        assert_eq!((code, out.as_str()), (Some(126), ""), "{steps:?}: {shown}");
        let approval = approvals(&policed).await.remove(0);
        assert_eq!(
            (&approval["status"], approval["note"].as_str()),
            (&json!("denied"), note),
            "{steps:?}: {approval}"
        );
        assert!(note.is_none_or(|note| shown.contains(note)), "{shown}");
    }
    assert_eq!(policed.hits("notes.add"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_typed_before_the_question_answers_nothing() {
    let policed = Policed::start(ASKS).await;
    let code = "await tools.demo.wait({ ms: 300 });
        return await tools.demo.notes.add({ text: 'x' })";
    let mut terminal = run(&policed, code);
    // Whole lines and half a line, as from one who types ahead, or a terminal that answers.
    terminal.press("y\ny\nyes\n\u{1b}[?1;2cy");
    terminal.shows(PROMPT, 1).await;
    terminal.press("n\n");
    let (code, _, shown) = terminal.end().await;
    assert_eq!((code, policed.hits("notes.add")), (Some(126), 0), "{shown}");
    assert_eq!(shown.matches(PROMPT).count(), 1, "nothing was read but the answer: {shown}");
    assert_eq!(approvals(&policed).await[0]["status"], "denied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_pressed_twice_answers_one_call_and_no_call_is_answered_unread() {
    let policed = Policed::start(ASKS).await;
    let code = "const made = await Promise.allSettled(['one', 'two', 'three'].map((text) =>
            tools.demo.notes.add({ text })));
        return made.map((end) => end.status)";
    let mut terminal = run(&policed, code);
    terminal.shows(PROMPT, 1).await;
    terminal.press("y\ny\n");
    // The next call has only just appeared.
    terminal.shows("expires in", 2).await;
    terminal.press("y\n");
    terminal.shows(PROMPT, 2).await;
    terminal.press("n\nyes\n");
    let begun = Instant::now();
    terminal.shows("expires in", 3).await;
    terminal.press("y\ny");
    terminal.shows(PROMPT, 3).await;
    assert!(begun.elapsed() >= UNREAD_FOR, "{:?}", begun.elapsed());
    terminal.press("n\n");
    let (code, out, shown) = terminal.end().await;
    assert_eq!(code, Some(0), "{shown}");
    let statuses: Vec<String> = serde_json::from_str(&out).unwrap();
    let made = statuses.iter().filter(|status| *status == "fulfilled").count();
    assert_eq!((made, policed.hits("notes.add")), (1, 1), "{shown}");
    assert_eq!(shown.matches(PROMPT).count(), 3, "nothing was read but the answers: {shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_goes_away_when_it_is_decided_elsewhere() {
    let policed = Policed::start(ASKS).await;
    for (verb, told, exit) in
        [("approve", "approved elsewhere", 0), ("deny", "denied elsewhere", 126)]
    {
        let mut terminal = run(&policed, "return await tools.demo.notes.add({ text: 'x' })");
        terminal.shows(PROMPT, 1).await;
        terminal.press("y");
        let approval = policed.pending(1).await.remove(0);
        assert_eq!(policed.word(&approval, verb, json!({})).await.0, 200);
        let (code, _, shown) = terminal.end().await;
        assert_eq!(code, Some(exit), "{shown}");
        let told = format!("{told} by the owner (command line)");
        assert!(shown.contains(&told), "{told}: {shown}");
    }
    assert_eq!(policed.hits("notes.add"), 1, "a half-typed answer is none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_calls_are_asked_about_one_after_another() {
    let policed = Policed::start(ASKS).await;
    let code = "const made = await Promise.allSettled(['one', 'two', 'three'].map((text) =>
            tools.demo.notes.add({ text })));
        return made.map((end) => end.status)";
    let mut terminal = run(&policed, code);
    for (index, keys) in ["y\n", "n\n", "y\n"].into_iter().enumerate() {
        terminal.shows(PROMPT, index + 1).await;
        terminal.press(keys);
    }
    let (code, out, shown) = terminal.end().await;
    assert_eq!(code, Some(0), "{shown}");
    let statuses: Vec<String> = serde_json::from_str(&out).unwrap();
    let made = statuses.iter().filter(|status| *status == "fulfilled").count();
    assert_eq!((made, policed.hits("notes.add")), (2, 2), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_hand_is_asked_about_too() {
    let policed = Policed::start(ASKS).await;
    let args = ["tools", "call", "demo.notes.add", "--args", r#"{"text":"by hand"}"#];
    let mut terminal = AtTerminal::start(&policed.server.config_file(), &args);
    let shown = terminal.shows(PROMPT, 1).await;
    assert!(shown.contains("\"text\": \"by hand\""), "{shown}");
    terminal.press("y\n");
    let (code, _, shown) = terminal.end().await;
    assert_eq!((code, policed.hits("notes.add")), (Some(0), 1), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_want_to_be_asked_gets_the_command_and_the_link() {
    let policed = Policed::start(ASKS).await;
    let file = program(&policed, "return await tools.demo.notes.add({ text: 'x' })");
    let config = policed.server.config_file();
    for flag in ["--no-input", "--json"] {
        let terminal = AtTerminal::start(&config, &["run", &file, flag]);
        let shown = terminal.shows("/approvals/apr_", 1).await;
        assert!(shown.contains("airlock approvals show apr_"), "{flag}: {shown}");
        let approval = policed.pending(1).await.remove(0);
        policed.word(&approval, "approve", json!({})).await;
        let (code, _, shown) = terminal.end().await;
        assert_eq!((code, shown.contains("Approve?")), (Some(0), false), "{flag}: {shown}");
    }
    // Nor is anybody asked where there is no terminal, whatever is piped in.
    let mut running = airlock(&config);
    running.args(["run", &file]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut running = running.spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"y\ny\ny\n").await.unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let mut beside = String::new();
    while let Some(line) = timeout(PATIENCE, lines.next_line()).await.expect("it goes on").unwrap()
    {
        beside.push_str(&line);
        if line.contains("/approvals/apr_") {
            let approval = policed.pending(1).await.remove(0);
            policed.word(&approval, "deny", json!({})).await;
        }
    }
    let code = running.wait().await.unwrap().code();
    assert!(
        code == Some(126)
            && beside.contains("airlock approvals show apr_")
            && !beside.contains("Approve?"),
        "{beside}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_question_cancels_the_task() {
    let policed = Policed::start(ASKS).await;
    let mut terminal = run(&policed, "return await tools.demo.notes.add({ text: 'x' })");
    terminal.shows(PROMPT, 1).await;
    terminal.press("\u{3}");
    let (code, _, shown) = terminal.end().await;
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("interrupted: the task is cancelled"), "{shown}");
    assert_eq!(approvals(&policed).await[0]["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_answer_the_call_waits_on() {
    let policed = Policed::start(ASKS).await;
    // The end of the input, and five answers that mean nothing.
    for keys in [&["\u{4}"][..], &["maybe\n"; 5]] {
        let mut terminal = run(&policed, "return await tools.demo.notes.add({ text: 'x' })");
        for (index, keys) in keys.iter().enumerate() {
            terminal.shows(PROMPT, index + 1).await;
            terminal.press(keys);
        }
        terminal.shows("airlock approvals show apr_", 1).await;
        let approval = policed.pending(1).await.remove(0);
        assert_eq!(policed.word(&approval, "approve", json!({})).await.0, 200);
        assert_eq!(terminal.end().await.0, Some(0));
    }
}
