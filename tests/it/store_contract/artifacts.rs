//! What every store promises of artifacts. The clock is driven by hand: every question names its
//! moment.

use airlock::{
    model::{Artifact, ArtifactId, ArtifactKind, Media, TaskId, Timestamp},
    store::{
        ARTIFACT_PART_BYTES, ArtifactAt, ArtifactFilter, ArtifactOpened, ArtifactPart,
        SWEEP_PARTS_MAX, StoreError, Swept,
    },
};

use super::{Shared, later, moment, recovery};

super::contract! { artifacts:
    an_artifact_comes_back_as_it_was_written
    an_artifact_is_there_only_once_it_is_whole
    an_artifact_of_another_workspace_is_not_there
    an_artifact_is_gone_when_its_time_is_over
    the_part_of_a_line_is_the_one_before_its_first_byte
    a_workspace_has_only_so_many_bytes
    what_is_removed_is_gone_at_once_and_makes_room
    what_a_dead_server_left_half_is_taken_away
    a_sweep_goes_in_steps_and_leaves_what_lives
    artifacts_are_listed_newest_first_and_paged
}

const ROOM: u64 = 1 << 30;

fn artifact(bytes: u64) -> Artifact {
    Artifact {
        id: ArtifactId::new(),
        workspace_id: "local".into(),
        task_id: TaskId::new(),
        tool: "demo.big".into(),
        kind: ArtifactKind::Text,
        bytes,
        lines: 1,
        sha256: "ab".repeat(32),
        head: "x\u{0}ü".into(),
        media: Some(Media { mime_type: "image/png".into(), bytes: 7 }),
        created_at: moment(),
        expires_at: later(60),
    }
}

fn parts(text: &[u8]) -> Vec<ArtifactPart> {
    let mut newlines_before = 0;
    let part = |(index, bytes): (u32, &[u8])| {
        let part = ArtifactPart { index, newlines_before, bytes: bytes.to_vec() };
        newlines_before += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        part
    };
    (0..).zip(text.chunks(ARTIFACT_PART_BYTES)).map(part).collect()
}

async fn kept(store: &Shared, text: &[u8]) -> Artifact {
    let artifact = artifact(text.len() as u64);
    assert_eq!(store.open_artifact(artifact.clone(), ROOM).await.unwrap(), ArtifactOpened::Open);
    for part in parts(text) {
        store.write_artifact_part(artifact.id, part).await.unwrap();
    }
    store.close_artifact(artifact.id).await.unwrap();
    artifact
}

async fn swept(store: &Shared, at: Timestamp) -> Vec<u32> {
    let mut steps = vec![];
    loop {
        let Swept { parts, more } = store.sweep_artifacts(at).await.unwrap();
        if !more {
            return steps;
        }
        assert!(parts <= SWEEP_PARTS_MAX);
        steps.push(parts);
    }
}

pub(super) async fn an_artifact_comes_back_as_it_was_written(store: Shared) {
    let text: Vec<u8> = (0..ARTIFACT_PART_BYTES * 2 + 17).map(|n| (n % 251) as u8).collect();
    let artifact = kept(&store, &text).await;
    assert_eq!(
        store.artifact("local", artifact.id, moment()).await.unwrap(),
        Some(artifact.clone())
    );
    let mut read = vec![];
    while read.len() < text.len() {
        let at = ArtifactAt::Byte(read.len() as u64);
        let part = store
            .artifact_part("local", artifact.id, moment(), at)
            .await
            .unwrap()
            .expect("there is more");
        assert_eq!(part.offset(), read.len() as u64);
        read.extend(part.bytes);
    }
    assert!(read == text);
}

pub(super) async fn an_artifact_is_there_only_once_it_is_whole(store: Shared) {
    let text = vec![b'x'; ARTIFACT_PART_BYTES + 1];
    let artifact = artifact(text.len() as u64);
    store.open_artifact(artifact.clone(), ROOM).await.unwrap();
    let [first, last] = parts(&text).try_into().unwrap();
    store.write_artifact_part(artifact.id, first).await.unwrap();
    let early = store.close_artifact(artifact.id).await;
    assert!(matches!(early, Err(StoreError::Invalid(_))), "{early:?}");
    assert_eq!(store.artifact("local", artifact.id, moment()).await.unwrap(), None);
    assert_eq!(
        store.artifact_part("local", artifact.id, moment(), ArtifactAt::Byte(0)).await.unwrap(),
        None
    );
    assert!(store.artifacts("local", moment(), limit(10)).await.unwrap().artifacts.is_empty());
    store.write_artifact_part(artifact.id, last.clone()).await.unwrap();
    store.close_artifact(artifact.id).await.unwrap();
    assert!(store.artifact("local", artifact.id, moment()).await.unwrap().is_some());
    let late = store.write_artifact_part(artifact.id, last).await;
    assert!(matches!(late, Err(StoreError::Invalid(_))), "{late:?}");
}

pub(super) async fn an_artifact_of_another_workspace_is_not_there(store: Shared) {
    let artifact = kept(&store, b"text").await;
    assert_eq!(store.artifact("other", artifact.id, moment()).await.unwrap(), None);
    assert_eq!(
        store.artifact_part("other", artifact.id, moment(), ArtifactAt::Byte(0)).await.unwrap(),
        None
    );
    assert!(store.artifacts("other", moment(), limit(10)).await.unwrap().artifacts.is_empty());
    assert!(!store.remove_artifact("other", artifact.id, moment()).await.unwrap());
    assert!(store.artifact("local", artifact.id, moment()).await.unwrap().is_some());
}

pub(super) async fn an_artifact_is_gone_when_its_time_is_over(store: Shared) {
    let artifact = kept(&store, b"text").await;
    assert!(store.artifact("local", artifact.id, later(59)).await.unwrap().is_some());
    assert_eq!(store.artifact("local", artifact.id, later(60)).await.unwrap(), None);
    assert_eq!(
        store.artifact_part("local", artifact.id, later(60), ArtifactAt::Line(1)).await.unwrap(),
        None
    );
    assert!(store.artifacts("local", later(60), limit(10)).await.unwrap().artifacts.is_empty());
    assert!(!store.remove_artifact("local", artifact.id, later(60)).await.unwrap());
}

pub(super) async fn the_part_of_a_line_is_the_one_before_its_first_byte(store: Shared) {
    let mut text = vec![b'x'; ARTIFACT_PART_BYTES * 3];
    // Line 2 begins in part 1, line 3 with the first byte of part 2.
    (text[ARTIFACT_PART_BYTES + 5], text[ARTIFACT_PART_BYTES * 2 - 1]) = (b'\n', b'\n');
    let artifact = kept(&store, &text).await;
    for (line, index) in [(1, 0), (2, 1), (3, 1)] {
        let part = store
            .artifact_part("local", artifact.id, moment(), ArtifactAt::Line(line))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(part.index, index, "line {line}");
    }
}

pub(super) async fn a_workspace_has_only_so_many_bytes(store: Shared) {
    assert_eq!(
        store.open_artifact(artifact(60), 100).await.unwrap(),
        ArtifactOpened::Open,
        "what is not whole counts too"
    );
    assert_eq!(
        store.open_artifact(artifact(41), 100).await.unwrap(),
        ArtifactOpened::Full { used: 60 }
    );
    assert_eq!(store.open_artifact(artifact(40), 100).await.unwrap(), ArtifactOpened::Open);
    let other = Artifact { workspace_id: "other".into(), ..artifact(100) };
    assert_eq!(store.open_artifact(other, 100).await.unwrap(), ArtifactOpened::Open);
    let late = Artifact { created_at: later(60), expires_at: later(120), ..artifact(100) };
    assert_eq!(
        store.open_artifact(late, 100).await.unwrap(),
        ArtifactOpened::Open,
        "what is expired does not count"
    );
}

pub(super) async fn what_is_removed_is_gone_at_once_and_makes_room(store: Shared) {
    let gone = kept(&store, b"text").await;
    assert!(store.remove_artifact("local", gone.id, moment()).await.unwrap());
    assert!(!store.remove_artifact("local", gone.id, moment()).await.unwrap());
    assert_eq!(store.artifact("local", gone.id, moment()).await.unwrap(), None);
    assert_eq!(store.open_artifact(artifact(100), 100).await.unwrap(), ArtifactOpened::Open);
    assert_eq!(swept(&store, moment()).await, [1]);
}

pub(super) async fn what_a_dead_server_left_half_is_taken_away(store: Shared) {
    let whole = kept(&store, b"text").await;
    let half = artifact(8);
    store.open_artifact(half.clone(), ROOM).await.unwrap();
    store.write_artifact_part(half.id, parts(b"half").remove(0)).await.unwrap();
    assert_eq!(store.recover(recovery()).await.unwrap().artifacts, 1);
    assert_eq!(store.recover(recovery()).await.unwrap().artifacts, 0);
    let late = store.write_artifact_part(half.id, parts(b"half").remove(0)).await;
    assert!(matches!(late, Err(StoreError::Invalid(_))), "{late:?}");
    assert_eq!(swept(&store, moment()).await, [1]);
    assert!(store.artifact("local", whole.id, moment()).await.unwrap().is_some());
}

pub(super) async fn a_sweep_goes_in_steps_and_leaves_what_lives(store: Shared) {
    let large =
        kept(&store, &vec![b'x'; ARTIFACT_PART_BYTES * (SWEEP_PARTS_MAX as usize + 3)]).await;
    let lives = Artifact { expires_at: later(600), ..artifact(4) };
    store.open_artifact(lives.clone(), ROOM).await.unwrap();
    store.write_artifact_part(lives.id, parts(b"text").remove(0)).await.unwrap();
    store.close_artifact(lives.id).await.unwrap();
    assert!(swept(&store, later(59)).await.is_empty());
    assert_eq!(swept(&store, later(60)).await, [SWEEP_PARTS_MAX, 3]);
    assert_eq!(
        store.artifact("local", large.id, moment()).await.unwrap(),
        None,
        "it does not come back with an earlier moment"
    );
    assert!(store.artifact("local", lives.id, later(60)).await.unwrap().is_some());
}

fn limit(limit: u32) -> ArtifactFilter {
    ArtifactFilter { limit, cursor: None }
}

pub(super) async fn artifacts_are_listed_newest_first_and_paged(store: Shared) {
    let mut ids = vec![];
    for _ in 0..5 {
        ids.push(kept(&store, b"text").await.id);
    }
    ids.reverse();
    let (mut seen, mut cursor) = (vec![], None);
    loop {
        let page =
            store.artifacts("local", moment(), ArtifactFilter { limit: 2, cursor }).await.unwrap();
        seen.extend(page.artifacts.iter().map(|artifact| artifact.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let bad = store
        .artifacts("local", moment(), ArtifactFilter { limit: 2, cursor: Some("x".into()) })
        .await;
    assert!(matches!(bad, Err(StoreError::BadCursor(_))));
}
