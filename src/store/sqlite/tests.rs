//! What cannot be seen from outside until a database is large: that its statements find rows by
//! index.

use std::path::Path;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::{SqliteConfig, batch, counters, migrate, writing};

async fn connection(path: &Path) -> SqliteConnection {
    super::file::prepare(path).unwrap();
    let mut connection =
        sqlx::ConnectOptions::connect(&writing(&SqliteConfig::new(path))).await.unwrap();
    assert!(migrate(&mut connection).await.is_ok());
    connection
}

async fn plan(connection: &mut SqliteConnection, statement: &str) -> String {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
        .fetch_all(connection)
        .await
        .unwrap();
    rows.iter().map(|row| row.get::<String, _>(3)).collect::<Vec<_>>().join("\n")
}

/// Statements of the file, without its comments, `BEGIN` and `COMMIT`.
fn statements(sql: &str) -> Vec<String> {
    let lines: Vec<_> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let text = lines.join("\n");
    let all = text.split(';').map(str::trim).filter(|text| !text.is_empty());
    all.filter(|text| !text.starts_with("BEGIN") && !text.starts_with("COMMIT"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn no_write_scans_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection(&folder.path().join("airlock.db")).await;
    let all =
        [batch::MIXED, batch::PART, counters::RESERVE, counters::RELEASE].map(statements).concat();
    assert_eq!(all.len(), 11);
    for statement in all {
        let plan = plan(&mut connection, &statement).await;
        for table in
            ["tasks", "events", "results", "journal", "idempotency_keys", "counters", "t", "e", "k"]
        {
            assert!(
                !plan.lines().any(|line| line.trim() == format!("SCAN {table}")),
                "{statement}\n{plan}"
            );
        }
    }
}

#[tokio::test]
async fn lists_follow_an_index_and_need_no_sorting() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection(&folder.path().join("airlock.db")).await;
    for (condition, index) in [
        ("", "tasks_of_workspace"),
        (" AND n < 7", "tasks_of_workspace"),
        (" AND status = 'failed' AND n < 7", "tasks_of_status"),
        (" AND session_id = 's' AND n < 7", "tasks_of_session"),
    ] {
        let plan = plan(
            &mut connection,
            &format!("SELECT * FROM tasks WHERE workspace_id = 'w'{condition} ORDER BY n DESC"),
        )
        .await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{condition}: {plan}");
    }
}

#[tokio::test]
async fn migrations_may_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection(&folder.path().join("airlock.db")).await;
    assert!(migrate(&mut connection).await.is_ok());
}

/// Servers are started from tasks that may move between threads.
#[test]
fn opening_may_move_between_threads() {
    fn sent(_: impl Send) {}
    sent(super::SqliteStore::open(SqliteConfig::new("never")));
}

/// One of several processes on one database: reserves fifty times and says how often it was let
/// through.
const RACER: &str = "AIRLOCK_TEST_RACER_DATABASE";

fn hold() -> crate::store::CounterHold {
    let window = crate::store::CounterWindow::Whole;
    crate::store::CounterHold { key: "k".into(), window, max: 10_000_000, cost: 1_000_000 }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how the test tells its own child what it is")]
async fn a_racer() {
    let Some(path) = std::env::var_os(RACER) else { return };
    let mut connection =
        sqlx::ConnectOptions::connect(&writing(&SqliteConfig::new(path))).await.unwrap();
    let mut held = 0;
    for _ in 0..50 {
        let asked = counters::Reservation::new(crate::model::Timestamp::now(), &[hold()]);
        held += u32::from(matches!(
            counters::reserve(&mut connection, asked).await.unwrap(),
            crate::store::Reserved::Held(_)
        ));
    }
    std::io::Write::write_all(&mut std::io::stderr(), format!("held={held}\n").as_bytes()).unwrap();
}

/// The lock keeps a second server off; the statements do not rely on it, so that several instances
/// can share a database one day.
#[tokio::test]
async fn processes_on_one_database_together_let_exactly_ten_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.db");
    drop(connection(&path).await);
    let racer = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "store::sqlite::tests::a_racer", "--nocapture"]).env(RACER, &path);
        command
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let racers: Vec<_> = (0..4).map(|_| racer()).collect();
    let mut held = 0;
    for racer in racers {
        let output = racer.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let count =
            text.lines().find_map(|line| line.strip_prefix("held=")).expect("it says how often");
        held += count.parse::<u32>().unwrap();
    }
    assert_eq!(held, 10);
}

#[tokio::test]
async fn counters_whose_time_is_over_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection(&folder.path().join("airlock.db")).await;
    let window = crate::store::CounterWindow::Fixed(std::time::Duration::from_secs(1));
    for n in 0..200_u64 {
        let at = crate::model::Timestamp::from_second(1_000_000 + n as i64).unwrap();
        let asked =
            counters::Reservation::new(at, &[crate::store::CounterHold { window, ..hold() }]);
        counters::reserve(&mut connection, asked).await.unwrap();
        counters::forget(&mut connection, n, at).await.unwrap();
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM counters")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(left <= 65, "{left} of 200 are left");
}
