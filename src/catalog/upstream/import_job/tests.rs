use super::*;
use crate::base::offload::offload;

#[tokio::test]
async fn a_reader_that_nobody_waits_for_stops_and_gives_its_turn_back() {
    for _ in 0..4 {
        let (began, has_begun) = std::sync::mpsc::channel();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let reading = read(Progress::default(), move |stop| {
            began.send(()).unwrap();
            while stop.check().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            ended.send(()).unwrap();
            Ok(())
        });
        let reading = tokio::spawn(reading);
        offload(move || has_begun.recv_timeout(Duration::from_secs(20))).await.unwrap().unwrap();
        reading.abort();
        tokio::time::timeout(Duration::from_secs(20), has_ended).await.unwrap().unwrap();
    }
    assert_eq!(read(Progress::default(), |_| Ok(7)).await.unwrap(), 7);
}

#[test]
fn a_reader_whose_time_is_up_stops() {
    assert_eq!(CancelToken::after(Duration::ZERO).check(), Err(Stopped));
    assert_eq!(Stopped.to_string(), "reading it takes longer than 60 seconds");
}

#[tokio::test]
async fn how_far_a_reader_is_can_be_seen_while_it_reads() {
    let progress = Progress::default();
    let seen = progress.clone();
    let read = read(progress.clone(), move |stop| {
        stop.progress.begin(3);
        stop.progress.advance();
        assert_eq!(seen.pieces(), (1, 3));
        stop.progress.advance();
        Ok(())
    });
    read.await.unwrap();
    assert_eq!(progress.pieces(), (2, 3));
}
