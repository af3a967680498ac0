//! Calls with artifacts share their slots fairly.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_calls_with_artifacts_take_long_leaves_places_to_the_others() {
    let (service, server) = with_service("").await;
    let handle = returned(&server, "return await tools.big.data.rows()").await;
    let held = format!(
        "await Promise.all([1, 2, 3, 4, 5].map(() => tools.big.data.held({{ body: {{ data: \
        {handle} }} }})))"
    );
    let greedy = server.run(&held);
    tokio::pin!(greedy);
    let others = async {
        eventually("one of them is under way", async || {
            (service.held.load(Ordering::SeqCst) == 1).then_some(())
        })
        .await;
        let code = format!(
            "const found = await tools.artifacts.json({{ id: {handle}.$artifact, pointer: \
            '/rows/150000/name' }});
             return [found, (await tools.big.data.store({{ body: {{ data: {handle} }} }})).rows];"
        );
        returned(&server, &code).await
    };
    tokio::select! {
        ended = &mut greedy => panic!("they are held: {ended}"),
        told = others => assert_eq!(told, json!(["needle", 220_001])),
    }
    assert_eq!(service.held.load(Ordering::SeqCst), 1, "the others of that task wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_task_never_has_all_places_of_an_upstream() {
    let (service, server) = with_service("").await;
    let greedy = "await Promise.all(Array.from({ length: 256 }, () => tools.big.data.held({ body: \
        { data: {} } })))";
    let held = |count: usize| {
        let now = service.held.clone();
        async move || (now.load(Ordering::SeqCst) == count).then_some(())
    };
    let first = server.run(greedy);
    tokio::pin!(first);
    tokio::select! {
        ended = &mut first => panic!("they are held: {ended}"),
        () = eventually("it has its share", held(32)) => {}
    }
    let both = futures::future::join(first, server.run(greedy));
    tokio::pin!(both);
    tokio::select! {
        ended = &mut both => panic!("they are held: {ended:?}"),
        () = eventually("its workspace has its share", held(48)) => {}
    }
    // Another upstream is another matter.
    tokio::select! {
        ended = &mut both => panic!("they are held: {ended:?}"),
        told = returned(
            &server, "return (await tools.demo.add({ a: 1, b: 2 })).sum"
        ) => assert_eq!(told, 3),
    }
    assert_eq!(service.held.load(Ordering::SeqCst), 48, "the rest waits");
}
