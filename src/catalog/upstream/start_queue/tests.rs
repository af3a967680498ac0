use std::{future::pending, time::Duration};

use super::*;

const EVER: Duration = Duration::from_secs(3600);

fn places(count: usize, held_max: Duration) -> StartQueue {
    StartQueue { places: Arc::new(Semaphore::new(count)), held_max }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it does not wait for others")
}

/// Polls a start until it waits.
async fn begun<T>(start: &mut std::pin::Pin<&mut impl Future<Output = T>>) {
    tokio::select! {
        biased;
        _ = start => panic!("it has no place"),
        () = tokio::task::yield_now() => {}
    }
}

#[tokio::test]
async fn a_start_that_somebody_waits_for_jumps_the_queue() {
    let queue = places(1, EVER);
    let (first, wanted) = (Demand::default(), Demand::default());
    let mut hanging = std::pin::pin!(queue.perform(&first, pending::<()>()));
    begun(&mut hanging).await;
    let _waiting = wanted.wait();
    soon(queue.perform(&wanted, async {})).await;
}

#[tokio::test]
async fn a_start_in_the_queue_begins_when_its_upstream_is_called() {
    let queue = places(0, EVER);
    let demand = Demand::default();
    let mut queued = std::pin::pin!(queue.perform(&demand, async { "begun" }));
    begun(&mut queued).await;
    let _waiting = demand.wait();
    assert_eq!(soon(queued).await, "begun");
}

#[tokio::test]
async fn a_start_that_takes_long_gives_its_place_up() {
    let queue = places(1, Duration::from_millis(1));
    let (first, next) = (Demand::default(), Demand::default());
    let hanging = queue.perform(&first, pending::<()>());
    tokio::select! {
        () = hanging => {}
        () = soon(queue.perform(&next, async {})) => {}
    }
}

#[tokio::test]
async fn so_many_start_at_once_and_no_more() {
    let queue = places(2, EVER);
    let (running, most) = (watch::Sender::new(0usize), watch::Sender::new(0usize));
    let starts = (0..10).map(|_| async {
        let demand = Demand::default();
        let start = async {
            running.send_modify(|running| *running += 1);
            most.send_modify(|most| *most = (*most).max(*running.borrow()));
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            running.send_modify(|running| *running -= 1);
        };
        queue.perform(&demand, start).await;
    });
    futures::future::join_all(starts).await;
    assert_eq!(*most.borrow(), 2);
}
