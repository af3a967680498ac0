//! Tests of the command line that need no server.

use clap::{CommandFactory, Parser};

use super::*;
use crate::{
    app::Exit,
    base::instance::{ConfigIdentity, Instance},
    cli::screen,
};

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_fixed_forms_are_understood() {
    for line in [
        "airlock serve --listen 127.0.0.1:0 --config a.toml",
        "airlock --config a.toml mcp",
        "airlock run - --json --timeout-ms 5",
        "airlock tasks list --status running --metadata a=1 --metadata b=x --json",
        "airlock tasks get task_1 --json",
        "airlock tasks cancel task_1",
        "airlock tools list --namespace everything",
        "airlock tools search add numbers --json",
        "airlock tools describe everything.get-sum",
        "airlock doctor --json",
        "airlock config",
        "airlock config check --json",
    ] {
        if let Err(error) = Cli::try_parse_from(line.split(' ')) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_status_that_does_not_exist_is_refused_with_those_that_do() {
    let error = Cli::try_parse_from(["airlock", "tasks", "list", "--status", "done"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("allowed: queued, running, awaiting_approval, completed"), "{error}");
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let error = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    let failure = Failure::listen(
        ([127, 0, 0, 1], 7411).into(),
        &error,
        &crate::config::Store {
            path: "/nowhere/a.db".into(),
            state_dir: "/nowhere".into(),
            synchronous: crate::config::Synchronous::Normal,
        },
    );
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(
        failure.message.starts_with("port 7411 on 127.0.0.1 is in use by another program"),
        "{failure}"
    );
    assert!(failure.hint.unwrap().contains("--listen 127.0.0.1:PORT"));
}

#[test]
fn a_token_goes_nowhere_but_to_this_machine() {
    for url in [
        "http://example.com:7411",
        "https://127.0.0.1:7411",
        "http://localhost:7411",
        "ftp://127.0.0.1",
        "nonsense",
    ] {
        let instance = Instance {
            pid: 1,
            url: url.into(),
            token: "t".into(),
            version: "1".into(),
            config: ConfigIdentity::default(),
            lasting: true,
        };
        assert!(client::Client::new(&instance).is_err(), "{url}");
    }
}

#[test]
fn text_from_outside_cannot_move_the_cursor() {
    assert_eq!(
        screen::plain("a\u{1b}[2Jb\r\nc\u{7f}\u{9b}"),
        "a\u{fffd}[2Jb\u{fffd}\nc\u{fffd}\u{fffd}"
    );
    assert_eq!(screen::line("one\n\u{1b}two   three", 80), "one \u{fffd}two three");
}

#[test]
fn durations_read_well() {
    let shown = [0, 999, 1000, 61_500].map(screen::duration);
    assert_eq!(shown, ["0 ms", "999 ms", "1.0 s", "1 min 1 s"]);
}

#[test]
fn a_log_line_says_nothing_twice_and_nothing_that_looks_like_another_line() {
    use tracing_subscriber::layer::SubscriberExt as _;
    #[derive(Clone, Default)]
    struct Page(std::sync::Arc<parking_lot::Mutex<Vec<u8>>>);
    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let page = Page::default();
    let writer = page.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time();
    let subscriber =
        tracing_subscriber::registry().with(lines.with_target(false).fmt_fields(log::TextFields));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(task = "task_1", tool = %"demo.add", calls = 2, "task_1 called `demo.add`");
        tracing::warn!(error = %"no\n WARN forged \u{1b}[2J", calls = 1, "10 calls failed");
    });
    let text = String::from_utf8(page.0.lock().clone()).unwrap();
    assert_eq!(
        text,
        " INFO task_1 called `demo.add` calls=2\n WARN 10 calls failed error=no\\n WARN \
        forged \\u{1b}[2J calls=1\n"
    );
}
