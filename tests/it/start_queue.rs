//! Many upstreams start a few at a time, and one that is called comes first.

use crate::support::server::{TestServer, demo_named, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_called_upstream_waits_for_no_other_to_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("started");
    let started = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    let places = std::thread::available_parallelism().map_or(1, usize::from).max(2);
    // Each of them holds its place for five seconds.
    let hanging = places * 12;
    let script = format!("echo >> {}; cat > /dev/null", file.display());
    let upstreams: String = (0..hanging)
        .map(|n| format!("[upstreams.a{n:03}]\ncommand = \"sh\"\nargs = [\"-c\", {script:?}]\n"))
        .collect();
    let server = TestServer::with(&format!("{upstreams}{}", demo_named("zz", &[]))).await;
    eventually("the first ones start", async || (started() >= places).then_some(())).await;
    let ran = server.run("return await tools.zz.add({ a: 1, b: 2 })").await;
    let others = started();
    assert_eq!(ran["result"]["sum"], 3, "{ran}");
    assert!(others < hanging, "all {others} others were started before it");
    // Whatever is not called starts all the same.
    eventually("the next ones start", async || (started() > others).then_some(())).await;
}
