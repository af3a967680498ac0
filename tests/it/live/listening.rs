//! What clients of both eras are notified of: `tools/list_changed` comes when the list says
//! something else, and only then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::{
    ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, Implementation, ProtocolVersion, SubscriptionFilter,
    },
    service::{
        ClientCacheConfig, ClientLifecycleMode, ClientServiceExt, NotificationContext,
        RunningService,
    },
    transport::StreamableHttpClientTransport,
};

use super::*;

/// Counts the notices that it gets.
#[derive(Clone, Default)]
struct Listener(Arc<AtomicUsize>);

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("airlock-tests", "0"))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Listener {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until more notices have come than there were.
    async fn more_than(&self, before: usize) {
        eventually("the client is notified", async || (self.count() > before).then_some(())).await;
    }
}

type Client = RunningService<RoleClient, Listener>;

async fn connect(server: &TestServer, era: ClientLifecycleMode) -> (Client, Listener) {
    let transport = StreamableHttpClientTransport::from_uri(format!("{}/mcp", server.url));
    let listener = Listener::default();
    let client = listener.clone().serve_with_lifecycle(transport, era).await.unwrap();
    // What the server says now is what counts.
    let mut cache = ClientCacheConfig::default();
    cache.enabled = false;
    client.peer().set_response_cache_config(cache).await;
    (client, listener)
}

async fn legacy(server: &TestServer) -> (Client, Listener) {
    connect(server, ClientLifecycleMode::Initialize).await
}

async fn modern(server: &TestServer) -> (Client, Listener) {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let (client, listener) =
        connect(server, ClientLifecycleMode::Discover { preferred_versions }).await;
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let mut subscription = client.peer().listen(filter).await.unwrap();
    assert_eq!(subscription.acknowledged().tools_list_changed, Some(true));
    let count = listener.clone();
    tokio::spawn(async move {
        while let Ok(Some(_)) = subscription.next().await {
            count.0.fetch_add(1, Ordering::SeqCst);
        }
    });
    (client, listener)
}

/// The description and the schema of `execute`.
async fn execute(client: &Client) -> String {
    let tools = client.peer().list_all_tools().await.unwrap();
    let tool = tools.into_iter().find(|tool| tool.name == "execute").unwrap();
    format!(
        "{}\n{}",
        tool.description.unwrap_or_default(),
        serde_json::to_string(&*tool.input_schema).unwrap()
    )
}

/// Waits until the server is silent: as long as several changes would take to be notified.
async fn silence(listeners: [&Listener; 2]) -> [usize; 2] {
    let mut last = listeners.map(Listener::count);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = listeners.map(Listener::count);
        if now == last {
            return now;
        }
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_both_eras_see_the_tools_change() {
    let server = TestServer::with(&demo(&[])).await;
    server.health(|health| ready(health) == ["demo"]).await;
    let (old, new) = (legacy(&server).await, modern(&server).await);
    let both = [&old.1, &new.1];
    let has = async |text: &str, wanted: bool| {
        for (client, _) in [&old, &new] {
            eventually("the list says so", async || {
                (execute(client).await.contains(text) == wanted).then_some(())
            })
            .await;
        }
    };
    let notified = async |before: [usize; 2]| {
        for (listener, before) in both.into_iter().zip(before) {
            listener.more_than(before).await;
        }
    };
    has("two (", false).await;

    let before = silence(both).await;
    server.configure(&format!("{}{}", demo(&[]), demo_named("two", &[])));
    notified(before).await;
    has("two (", true).await;

    let before = silence(both).await;
    server.configure(&format!(
        "[limits]\nrequests_per_minute = 0\ntimeout_ms = 12345\n{}{}",
        demo(&[]),
        demo_named("two", &[])
    ));
    notified(before).await;
    has("12345", true).await;

    let before = silence(both).await;
    server.configure(&format!(
        "[limits]\nrequests_per_minute = 0\ntimeout_ms = 12345\n{}",
        demo(&[])
    ));
    notified(before).await;
    has("two (", false).await;

    // A change that the list says nothing of.
    let before = silence(both).await;
    server.configure(&format!(
        "[limits]\nrequests_per_minute = 0\ntimeout_ms = 12345\ncpu_ms = 1000\n{}",
        demo(&[])
    ));
    eventually("the change was taken up", async || {
        server.log().contains("`limits.cpu_ms`").then_some(())
    })
    .await;
    assert_eq!(silence(both).await, before, "nobody is told of what nobody sees");
    let called = server.run("return await tools.demo.add({ a: 1, b: 2 })").await;
    assert_eq!(called["result"]["sum"], 3, "{called}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_told_when_an_upstream_goes_down() {
    let server = TestServer::with(&demo(&[])).await;
    server.health(|health| ready(health) == ["demo"]).await;
    let (old, new) = (legacy(&server).await, modern(&server).await);
    let before = silence([&old.1, &new.1]).await;
    server
        .configure(&format!("{}[upstreams.gone]\ncommand = \"no-such-program-here\"\n", demo(&[])));
    for ((client, listener), before) in [&old, &new].into_iter().zip(before) {
        listener.more_than(before).await;
        eventually("the list says that it is down", async || {
            execute(client).await.contains("Down now: gone").then_some(())
        })
        .await;
    }
}
