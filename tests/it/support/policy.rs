//! A real server with a policy file, an upstream that counts its calls, and the owner's ways to
//! decide.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{TestServer, demo, eventually};

/// A server whose policy is a file that the test writes.
pub(crate) struct Policed {
    pub(crate) server: TestServer,
}

impl Policed {
    /// With this text in `policy.yaml`.
    pub(crate) async fn start(policy: &str) -> Self {
        Self::with(policy, "").await
    }

    /// With this text in `policy.yaml`, and this added to the configuration: to `[policy]` first,
    /// further tables after.
    pub(crate) async fn with(policy: &str, more: &str) -> Self {
        Self::within(TempDir::new().unwrap(), policy, more).await
    }

    /// In a folder that may hold the database of an earlier one.
    pub(crate) async fn within(folder: TempDir, policy: &str, more: &str) -> Self {
        Self::with_environment(folder, policy, more, &[]).await
    }

    /// The same, with these variables in its environment.
    pub(crate) async fn with_environment(
        folder: TempDir,
        policy: &str,
        more: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
        let count = folder.path().join("calls.txt");
        let upstream = demo(&["--count-file", count.to_str().unwrap()]);
        let more = format!("[policy]\nfiles = [\"policy.yaml\"]\n{more}\n{upstream}");
        let server = TestServer::with_environment(folder, &more, environment).await;
        Self { server }
    }

    /// Puts another text in place as editors do: written beside it, then renamed.
    pub(crate) fn rewrite(&self, policy: &str) {
        let file = self.server.folder.path().join("policy.yaml");
        let fresh = self.server.folder.path().join("policy.yaml.new");
        std::fs::write(&fresh, policy).unwrap();
        std::fs::rename(fresh, file).unwrap();
    }

    /// How often the upstream was called with this tool.
    pub(crate) fn hits(&self, tool: &str) -> usize {
        let text = std::fs::read_to_string(self.server.folder.path().join("calls.txt"))
            .unwrap_or_default();
        text.lines().filter(|line| *line == tool).count()
    }

    /// The task's events of one kind.
    pub(crate) async fn events(&self, task: &Value, kind: &str) -> Vec<Value> {
        let id = task["taskId"].as_str().expect("the task has an id");
        let (_, answer) = self
            .server
            .owner(reqwest::Method::GET, &format!("/v1/tasks/{id}/events?limit=1000"))
            .await;
        let mut events = answer["events"].as_array().cloned().unwrap_or_default();
        events.retain(|event| event["type"] == kind);
        events
    }

    /// Starts a program without waiting for it; its id.
    pub(crate) async fn begin(&self, mut arguments: Value) -> Value {
        arguments["waitForResult"] = false.into();
        self.server.execute(arguments).await["taskId"].clone()
    }

    /// The approvals that wait, once there are so many, the oldest first.
    pub(crate) async fn pending(&self, count: usize) -> Vec<Value> {
        eventually("approvals wait", async || {
            let (_, answer) =
                self.server.owner(reqwest::Method::GET, "/v1/approvals?status=pending").await;
            let mut approvals = answer["approvals"].as_array().cloned().unwrap_or_default();
            approvals.reverse();
            (approvals.len() >= count).then_some(approvals)
        })
        .await
    }

    /// The owner's word on an approval: the HTTP status and the answer.
    pub(crate) async fn word(&self, approval: &Value, verb: &str, body: Value) -> (u16, Value) {
        let id = approval["id"].as_str().expect("an approval has an id");
        self.server.owner_post(&format!("/v1/approvals/{id}/{verb}"), body).await
    }

    /// The approval's row now.
    pub(crate) async fn row(&self, approval: &Value) -> Value {
        let id = approval["id"].as_str().expect("an approval has an id");
        self.server.owner(reqwest::Method::GET, &format!("/v1/approvals/{id}")).await.1
    }

    /// The task's end.
    pub(crate) async fn end(&self, task: &Value) -> Value {
        eventually("the task ends", async || {
            let answer = self
                .server
                .call("task_get", json!({ "taskId": task, "waitMs": 5000 }))
                .await["structuredContent"]
                .clone();
            (!answer["exitCode"].is_null()).then_some(answer)
        })
        .await
    }

    /// What `/healthz` says of the policy, once it is as wanted. The answer is a second old at the
    /// most.
    pub(crate) async fn health(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually("the policy stands as wanted", async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (_, health) = self.server.owner(reqwest::Method::GET, "/healthz").await;
            wanted(&health).then_some(health)
        })
        .await
    }
}
