//! An executable in Deno's place that breaks the rules between Deno and its worker, one at a time:
//! a Deno that a program took over could.

use std::{fs, path::PathBuf, process::Command};

use airlock::sandbox::{
    deno::{self, DenoError},
    protocol::Kind,
};
use serde_json::json;

use crate::support::{
    server::{TestServer, eventually},
    worker::{Worker, limits},
};

/// It, as an executable in a folder of its own.
struct Impostor {
    path: PathBuf,
    digest: String,
    _folder: tempfile::TempDir,
}

impl Impostor {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deno");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/deno/impostor.c");
        let made = Command::new("cc")
            .args(["-O1", "-pthread", "-o"])
            .arg(&path)
            .arg(source)
            .status()
            .expect("a C compiler");
        assert!(made.success());
        let Err(DenoError::Unknown { found, .. }) = deno::check(&path, None) else {
            panic!("it is no known Deno")
        };
        Self { path, digest: found, _folder: folder }
    }

    fn worker(&self) -> Worker {
        let deno = deno::check(&self.path, Some(&self.digest)).expect("its digest is allowed");
        Worker::start_on(&limits(), Some(&deno))
    }

    async fn server(&self) -> TestServer {
        let digest = self.digest.to_ascii_uppercase();
        let config = "[sandbox]\nruntime = \"local-deno\"\nworkers_max = 1\nworkers_spare = 0\n";
        TestServer::with(&format!("{config}deno = {:?}\ndeno_sha256 = \"{digest}\"\n", self.path))
            .await
    }
}

#[test]
fn a_deno_that_breaks_a_rule_ends_with_its_worker() {
    let impostor = Impostor::make();
    for (rule, told) in [
        ("many_threads", "threads; the limit is 32"),
        ("long_line", "a wrong Log frame"),
        ("unknown_level", "a wrong Log frame"),
        ("long_warning", "a wrong Warn frame"),
        ("long_question", "a wrong Query frame"),
        ("unknown_digest", "a wrong Query frame"),
        ("unknown_question", "a wrong Query frame"),
        ("short_question", "a wrong Query frame"),
        ("deaf_questioner", "a wrong Query frame"),
        ("odd_timer", "a wrong Timer frame"),
        ("many_timers", "a wrong Timer frame"),
        ("early_ready", "a wrong Ready frame"),
        ("second_hello", "a wrong Hello frame"),
        ("huge_frame", "a frame is 4294967295 bytes; the limit is 1 to "),
        ("unknown_frame", "unknown frame kind 99"),
        ("broken_end", "a wrong Done frame"),
    ] {
        let mut worker = impostor.worker();
        assert_eq!(*worker.run("return 1 + 1").value(), json!(2));
        worker.begin(&format!("return '{rule}'"), 60_000);
        assert!(worker.ends(), "{rule}");
        let words = worker.last_words();
        assert!(words.contains(told), "{rule}: {words}");
    }
}

#[test]
fn a_deno_that_works_while_it_has_no_program_ends_with_its_worker() {
    let impostor = Impostor::make();
    for rule in ["work_at_rest", "memory_at_rest"] {
        let mut worker = impostor.worker();
        worker.begin(&format!("return '{rule}'"), 60_000);
        worker.expect(Kind::Done);
        worker.expect(Kind::Ready);
        assert!(worker.ends(), "{rule}");
        let words = worker.last_words();
        assert!(words.contains("works while it has no program"), "{rule}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_takes_the_deno_whose_digest_its_owner_gave_and_replaces_a_process_that_is_never_ready_again()
 {
    let impostor = Impostor::make();
    let server = impostor.server().await;
    assert_eq!(server.run("return 1 + 1").await["result"], 2);
    // Its result counts; the process does not come back, and the next program has another one.
    assert_eq!(server.run("return 'never_ready'").await["result"], 2);
    assert_eq!(server.run("return 1 + 1").await["result"], 2);
    let answer = server.run("return 'unknown_frame'").await;
    assert_eq!(
        (answer["status"].as_str(), answer["error"]["code"].as_str()),
        (Some("failed"), Some("worker_lost")),
        "{answer}"
    );
    assert_eq!(server.run("return 1 + 1").await["result"], 2);
    assert!(server.log().contains("unknown frame kind 99"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executable_that_was_replaced_since_it_was_checked_is_not_executed() {
    let impostor = Impostor::make();
    let server = impostor.server().await;
    let other = impostor.path.with_extension("new");
    fs::copy(&impostor.path, &other).unwrap();
    fs::rename(&other, &impostor.path).unwrap();
    server.run("return 'never_ready'").await;
    let answer = server.run("return 1 + 1").await;
    assert_eq!(answer["status"], "failed", "{answer}");
    // The worker's own message reaches the log by another way than the end of its socket.
    eventually("the log says what to do", async || {
        server.log().contains("restart the server").then_some(())
    })
    .await;
}
