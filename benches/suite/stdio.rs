//! The real binary over stdio: `airlock mcp`, as agents on the same machine start it.

use std::{process::Stdio, time::Instant};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    Outcome, Scale,
    client::{Era, check, execute, initialize},
    record::Record,
    server::{AIRLOCK, configuration},
};

struct Client {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    next: u64,
    _process: Child,
}

impl Client {
    async fn start(
        config: &std::path::Path,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut process = Command::new(AIRLOCK)
            .args(["mcp", "--config"])
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (input, output) =
            (process.stdin.take().ok_or("no stdin")?, process.stdout.take().ok_or("no stdout")?);
        let mut client =
            Self { input, output: BufReader::new(output).lines(), next: 1, _process: process };
        client.send(initialize().to_string()).await?;
        client.answer(0).await?;
        client
            .send(
                serde_json::json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
                    .to_string(),
            )
            .await?;
        Ok(client)
    }

    async fn execute(&mut self, code: &str, expected: &str) -> Outcome {
        let id = self.next;
        self.next += 1;
        self.send(execute(id, code, Era::Legacy)).await?;
        let answer = self.answer(id).await?;
        check(&answer, id, expected)
    }

    async fn send(&mut self, mut message: String) -> Outcome {
        message.push('\n');
        Ok(self.input.write_all(message.as_bytes()).await?)
    }

    /// The next line that answers the request; notifications are passed over.
    async fn answer(
        &mut self,
        id: u64,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let mark = format!("\"id\":{id}");
        loop {
            let line = self.output.next_line().await?.ok_or("the server closed its output")?;
            if line.contains(&mark) {
                return Ok(line);
            }
        }
    }
}

/// From the start of the process to the first answer, then warm.
pub(crate) async fn latency(scale: Scale, record: &mut Record) -> Outcome {
    let folder = tempfile::tempdir()?;
    let config = configuration(folder.path())?;
    let began = Instant::now();
    let mut client = Client::start(&config).await?;
    client.execute("return 1 + 1", "2").await?;
    record.figure(
        "stdio",
        "start of `airlock mcp` to its first result",
        began.elapsed().as_secs_f64() * 1e3,
        "ms",
    );
    for _ in 0..scale.times(100) {
        client.execute("return 1 + 1", "2").await?;
    }
    let mut samples = Vec::new();
    for _ in 0..scale.times(3000) {
        let began = Instant::now();
        client.execute("return 1 + 1", "2").await?;
        samples.push(began.elapsed());
    }
    record.latency("stdio", "`return 1 + 1`, 2025-11-25", samples);
    Ok(())
}
