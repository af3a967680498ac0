//! The real server, started for a bench and ended with it.

use std::{path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep},
};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The binary of the same build.
pub(crate) const AIRLOCK: &str = env!("CARGO_BIN_EXE_airlock");

/// How long a server may take to answer its first request.
const START_MAX: Duration = Duration::from_secs(60);

/// A running `airlock serve` with a database of its own and one upstream, `demo`.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
    _folder: TempDir,
}

/// Writes a configuration without a limit of requests, which would be all that one measures.
pub(crate) fn configuration(folder: &Path) -> Result<std::path::PathBuf, Error> {
    let database = folder.join("airlock.db");
    let text = format!(
        "[store]\nurl = \"sqlite://{}\"\n[limits]\nrequests_per_minute = 0\n[policy]\nprofile \
        = \"open\"\n[upstreams.demo]\nkind = \"mcp\"\ncommand = {:?}\nargs = \
        [\"__demo-upstream\"]\n",
        database.display(),
        AIRLOCK
    );
    let file = folder.join("airlock.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}

impl Server {
    pub(crate) async fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let config = configuration(folder.path())?;
        let mut process = Command::new(AIRLOCK)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = process.stderr.take().ok_or("the server has no stderr")?;
        let log = tokio::spawn(last_lines(stderr));
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(address) = listening(folder.path()) {
                return Ok(Self { process, address, _folder: folder });
            }
            if let Some(status) = process.try_wait()? {
                return Err(format!("the server ended with {status}:\n{}", log.await?).into());
            }
            if Instant::now() > deadline {
                return Err(format!("the server does not listen after {START_MAX:?}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap_or(0)
    }
}

/// Where the server listens, once it says so in the file beside its database.
fn listening(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("airlock.db.instance.json")).ok()?;
    let instance: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(instance["url"].as_str()?.trim_start_matches("http://").trim_end_matches('/').to_owned())
}

/// Drains the log, and keeps its end for the error if there is one.
async fn last_lines(log: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut lines = BufReader::new(log).lines();
    let mut kept = std::collections::VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        kept.truncate(19);
        kept.push_front(line);
    }
    kept.into_iter().rev().collect::<Vec<_>>().join("\n")
}
