//! What every store promises of results: they come back to the byte, in pages of whole characters.

use airlock::{model::TaskStatus, store::Created};

use super::{Shared, completed, end, new_task, recorded};

super::contract! { results:
    a_result_is_paged_at_characters
    a_large_result_is_whole
    a_result_of_any_length_is_whole
    no_result_is_not_an_empty_result
}

pub(super) async fn a_result_is_paged_at_characters(store: Shared) {
    let text = "\"a\u{e4}\u{20ac}\u{1f600}z\"";
    let id = completed(&store, text).await;
    for page in 1..=text.len() as u64 + 1 {
        let (mut whole, mut offset) = (String::new(), 0);
        loop {
            let piece = store.result("local", id, offset, page).await.unwrap().unwrap();
            assert_eq!((piece.offset, piece.total_bytes), (offset, text.len() as u64));
            assert!(
                !piece.text.is_empty()
                    && (piece.text.len() as u64 <= page || piece.text.chars().count() == 1)
            );
            whole.push_str(&piece.text);
            match piece.next_offset {
                Some(next) => offset = next,
                None => break,
            }
        }
        assert_eq!(whole, text);
    }
    // From the middle of a character: from its beginning.
    let piece = store.result("local", id, 3, 100).await.unwrap().unwrap();
    assert_eq!(
        (piece.offset, piece.text.as_str(), piece.next_offset),
        (2, "\u{e4}\u{20ac}\u{1f600}z\"", None)
    );
    let beyond = store.result("local", id, u64::MAX, u64::MAX).await.unwrap().unwrap();
    assert_eq!(
        (beyond.offset, beyond.text.as_str(), beyond.next_offset),
        (text.len() as u64, "", None)
    );
    assert_eq!(store.result("local", id, 0, 0).await.unwrap().unwrap().text, "\"");
}

pub(super) async fn a_large_result_is_whole(store: Shared) {
    // Three bytes a character, so that no page and no part ends with one.
    let text = format!("\"{}\"", "\u{20ac}".repeat(1_000_000));
    let task = new_task();
    let id = task.task_id;
    // Together, so that the task is recorded in the batch that ends it.
    let created = store.create_task(task);
    let other = new_task();
    let created_other = store.create_task(other.clone());
    let ended = store.change_task(end(id, TaskStatus::Completed, Some(text.clone())));
    let late = store.change_task(end(id, TaskStatus::Completed, Some(text.clone())));
    assert_eq!(
        (created.await.unwrap(), created_other.await.unwrap()),
        (Created::New, Created::New)
    );
    ended.await.unwrap();
    assert!(late.await.is_err());
    assert_eq!(
        store.task("local", id).await.unwrap().unwrap().result_bytes,
        Some(text.len() as u64)
    );
    let whole = store.result("local", id, 0, u64::MAX).await.unwrap().unwrap();
    assert!(whole.text == text && whole.next_offset.is_none());
    let (mut paged, mut offset) = (String::new(), Some(0));
    while let Some(from) = offset {
        let piece = store.result("local", id, from, 262_144).await.unwrap().unwrap();
        paged.push_str(&piece.text);
        offset = piece.next_offset;
    }
    assert!(paged == text);
}

pub(super) async fn a_result_of_any_length_is_whole(store: Shared) {
    for bytes in [4095, 4096, 4097, 262_143, 262_144, 262_145, 524_288] {
        let text = format!("\"{}\"", "x".repeat(bytes - 2));
        let id = completed(&store, &text).await;
        let piece = store.result("local", id, 0, u64::MAX).await.unwrap().unwrap();
        assert!(
            piece.text == text && piece.next_offset.is_none() && piece.total_bytes == bytes as u64,
            "{bytes}"
        );
        let last = store.result("local", id, bytes as u64 - 1, 10).await.unwrap().unwrap();
        assert_eq!((last.text.as_str(), last.next_offset), ("\"", None), "{bytes}");
    }
}

pub(super) async fn no_result_is_not_an_empty_result(store: Shared) {
    let id = recorded(&store, new_task()).await;
    assert!(store.result("local", id, 0, 10).await.unwrap().is_none());
    store.change_task(end(id, TaskStatus::Cancelled, None)).await.unwrap();
    assert!(store.result("local", id, 0, 10).await.unwrap().is_none());
    let null = completed(&store, "null").await;
    assert_eq!(store.result("local", null, 0, 10).await.unwrap().unwrap().text, "null");
}
