use futures::FutureExt;

use super::*;

#[tokio::test]
async fn keys_without_a_permit_are_forgotten() {
    let limiter = KeyedLimiter::new(1);
    for n in 0..1_000 {
        drop(limiter.acquire(&n.to_string()).await);
    }
    let _held = limiter.acquire("held").await;
    drop(limiter.acquire("another").await);
    assert!(limiter.by_key.lock().len() <= 2);
    assert!(limiter.acquire("held").now_or_never().is_none());
}
