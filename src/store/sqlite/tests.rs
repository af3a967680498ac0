//! What cannot be seen from outside until a database is large: that its statements find rows by index.

use std::path::Path;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::{SqliteConfig, batch, migrate, writing};

async fn connection(path: &Path) -> SqliteConnection {
    super::file::prepare(path).unwrap();
    let mut connection = sqlx::ConnectOptions::connect(&writing(&SqliteConfig::new(path))).await.unwrap();
    assert!(migrate(&mut connection).await.is_ok());
    connection
}

async fn plan(connection: &mut SqliteConnection, statement: &str) -> String {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(3)).collect::<Vec<_>>().join("\n")
}

/// Statements of the file, without its comments, `BEGIN` and `COMMIT`.
fn statements(sql: &str) -> Vec<String> {
    let lines: Vec<_> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let text = lines.join("\n");
    let all = text.split(';').map(str::trim).filter(|text| !text.is_empty());
    all.filter(|text| !text.starts_with("BEGIN") && !text.starts_with("COMMIT")).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_write_scans_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection(&folder.path().join("airlock.db")).await;
    let all = [batch::MIXED, batch::PART].map(statements).concat();
    assert_eq!(all.len(), 7);
    for statement in all {
        let plan = plan(&mut connection, &statement).await;
        for table in ["tasks", "events", "results", "idempotency_keys", "t", "e", "k"] {
            assert!(!plan.lines().any(|line| line.trim() == format!("SCAN {table}")), "{statement}\n{plan}");
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
        let plan = plan(&mut connection, &format!("SELECT * FROM tasks WHERE workspace_id = 'w'{condition} ORDER BY n DESC")).await;
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
