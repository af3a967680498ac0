//! What a client that shows progress is told, and when.

use airlock::policy::Profile;

use super::{pipe::Pipe, *};

fn call(arguments: Value, token: Option<&str>) -> String {
    let mut call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "execute", "arguments": arguments}});
    if let Some(token) = token {
        call["params"]["_meta"] = json!({"progressToken": token});
    }
    call.to_string()
}

/// A client of a service whose profile asks about calls that change something.
async fn asking(progress_every: Duration, approval_hold: Duration) -> Pipe {
    let setup = Setup { profile: Profile::Auto, approval_hold, ..Setup::upstream(&[]) };
    let options = McpOptions { progress_every, ..mcp_options() };
    let mut pipe = Pipe::with(options, &setup).await;
    pipe.below.service.set_url("http://127.0.0.1:1");
    pipe.send(&hello("2025-11-25")).await;
    pipe.receive().await;
    pipe
}

/// The messages of the notices before the answer, and the answer.
async fn until_answered(pipe: &mut Pipe) -> (Vec<String>, Value) {
    let mut notices = Vec::new();
    loop {
        let message = pipe.receive().await;
        if message["method"] != "notifications/progress" {
            return (notices, message);
        }
        assert_eq!(message["params"]["progressToken"], "t");
        notices.push(message["params"]["message"].as_str().unwrap().to_owned());
    }
}

const NEVER: Duration = Duration::from_secs(3600);
const WAITS: &str = "return await tools.everything.crash({})";

#[tokio::test]
async fn a_call_that_waits_is_told_at_once_with_the_page_and_the_answer_does_not_wait_long() {
    let mut pipe = asking(NEVER, Duration::from_millis(300)).await;
    pipe.send(&call(json!({"code": WAITS}), Some("t"))).await;
    let (notices, answer) = until_answered(&mut pipe).await;
    let approval = &answer["result"]["structuredContent"]["approvals"][0];
    let (id, url) = (approval["approvalId"].as_str().unwrap(), approval["url"].as_str().unwrap());
    assert_eq!(url, format!("http://127.0.0.1:1/approvals/{id}"));
    let told = format!("; a person must approve everything.crash: {url}");
    assert_eq!(notices.iter().filter(|notice| notice.ends_with(&told)).count(), 1, "{notices:?}");
    assert_eq!(answer["result"]["structuredContent"]["status"], "awaiting_approval");
    assert_eq!(answer["result"]["isError"], false);
    assert!(text_of(&answer["result"]).contains(url), "{answer}");
}

#[tokio::test]
async fn each_call_that_begins_to_wait_is_told() {
    let mut pipe = asking(NEVER, Duration::from_millis(600)).await;
    let code = "const first = tools.everything.crash({}); \
        await new Promise((resolve) => setTimeout(resolve, 200)); \
        await Promise.all([first, tools.everything.crash({})])";
    pipe.send(&call(json!({"code": code}), Some("t"))).await;
    let (notices, answer) = until_answered(&mut pipe).await;
    let approvals = answer["result"]["structuredContent"]["approvals"].as_array().unwrap();
    assert_eq!(approvals.len(), 2, "{answer}");
    for approval in approvals {
        let url = approval["url"].as_str().unwrap();
        assert!(notices.iter().any(|notice| notice.contains(url)), "{url}: {notices:?}");
    }
}

#[tokio::test]
async fn an_answer_is_held_for_as_long_as_its_caller_asked_for() {
    let mut pipe = asking(NEVER, Duration::from_millis(50)).await;
    let began = tokio::time::Instant::now();
    for token in [Some("t"), None] {
        pipe.send(&call(json!({"code": WAITS, "resultTimeoutMs": 700}), token)).await;
        let (_, answer) = until_answered(&mut pipe).await;
        assert_eq!(answer["result"]["structuredContent"]["status"], "awaiting_approval");
    }
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn progress_tells_the_last_line_of_the_console() {
    let mut pipe = asking(Duration::from_millis(50), Duration::from_secs(60)).await;
    let code = format!("console.log(\"row\", 7, \"\\n of 9\"); {}", sleep(600));
    pipe.send(&call(json!({"code": code}), Some("t"))).await;
    let (notices, answer) = until_answered(&mut pipe).await;
    assert_eq!(answer["result"]["structuredContent"]["result"], "slept");
    let told = notices.last().unwrap();
    assert!(told.ends_with("; the console says: row 7 of 9"), "{notices:?}");
}
