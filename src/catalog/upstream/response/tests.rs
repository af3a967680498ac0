use futures::FutureExt;

use super::*;

#[tokio::test]
async fn one_upstream_never_has_all_places_of_large_answers() {
    let all = ResponseLimits::default();
    let (greedy, other) = (all.of_one(), all.of_one());
    let mut held = Vec::new();
    while let Some(permit) = greedy.memory_permit().now_or_never() {
        held.push(permit);
    }
    assert_eq!(held.len(), LARGE_OF_ONE_MAX);
    // Many that wait for the share of the one take nothing from the other.
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(greedy.memory_permit())).collect();
    for permit in &mut waiting {
        assert!(futures::poll!(permit).is_pending());
    }
    held.push(other.memory_permit().now_or_never().expect("there is one for the other"));
    held.push(other.memory_permit().now_or_never().expect("and a second"));
    assert!(all.of_one().memory_permit().now_or_never().is_none(), "of all there are no more");
    held.clear();
    assert!(futures::poll!(&mut waiting[0]).is_ready());
}
