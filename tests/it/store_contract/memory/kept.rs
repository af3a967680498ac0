//! Artifacts in memory.

use airlock::{
    model::{Artifact, ArtifactId, Timestamp},
    store::{
        ARTIFACT_PART_BYTES, ArtifactAt, ArtifactFilter, ArtifactOpened, ArtifactPage,
        ArtifactPart, ArtifactStore, SWEEP_PARTS_MAX, StoreError, Swept, Written,
    },
};
use futures::future::BoxFuture;

use super::{MemoryStore, Tables};

/// An artifact and its parts.
pub(super) struct Kept {
    pub(super) artifact: Artifact,
    pub(super) parts: Vec<ArtifactPart>,
    pub(super) whole: bool,
}

impl Kept {
    /// True if it can be read by this workspace.
    pub(super) fn is_there(&self, workspace: &str, at: Timestamp) -> bool {
        self.whole && self.artifact.workspace_id == workspace && self.artifact.expires_at > at
    }
}

impl Tables {
    fn kept(&mut self, workspace: &str, id: ArtifactId, at: Timestamp) -> Option<&mut Kept> {
        let its =
            |kept: &&mut Kept| kept.artifact.id == id && kept.artifact.workspace_id == workspace;
        self.artifacts.iter_mut().find(its).filter(|kept| kept.artifact.expires_at > at)
    }

    fn open(&mut self, id: ArtifactId) -> Option<&mut Kept> {
        let its = |kept: &&mut Kept| {
            kept.artifact.id == id
                && !kept.whole
                && kept.artifact.expires_at > Timestamp::UNIX_EPOCH
        };
        self.artifacts.iter_mut().find(its)
    }

    fn sweep(&mut self, at: Timestamp) -> Swept {
        let expired =
            self.artifacts.iter().enumerate().filter(|(_, kept)| kept.artifact.expires_at <= at);
        let Some(index) =
            expired.min_by_key(|(_, kept)| kept.artifact.expires_at).map(|(index, _)| index)
        else {
            return Swept::default();
        };
        let parts = &mut self.artifacts[index].parts;
        let removed = parts.len().min(SWEEP_PARTS_MAX as usize);
        parts.drain(..removed);
        if removed < SWEEP_PARTS_MAX as usize {
            self.artifacts.remove(index);
        }
        Swept { parts: removed as u32, more: true }
    }
}

impl ArtifactStore for MemoryStore {
    fn open_artifact(&self, artifact: Artifact, bytes_max: u64) -> Written<ArtifactOpened> {
        self.with(|tables| {
            let its = |kept: &&Kept| {
                kept.artifact.workspace_id == artifact.workspace_id
                    && kept.artifact.expires_at > artifact.created_at
            };
            let used: u64 =
                tables.artifacts.iter().filter(its).map(|kept| kept.artifact.bytes).sum();
            if used + artifact.bytes > bytes_max {
                return Ok(ArtifactOpened::Full { used });
            }
            tables.artifacts.push(Kept { artifact, parts: vec![], whole: false });
            Ok(ArtifactOpened::Open)
        })
    }

    fn write_artifact_part(&self, id: ArtifactId, part: ArtifactPart) -> Written {
        self.with(|tables| {
            let kept = tables.open(id).ok_or(StoreError::Invalid("the artifact is not open"))?;
            kept.parts.push(part);
            Ok(())
        })
    }

    fn close_artifact(&self, id: ArtifactId) -> Written {
        self.with(|tables| {
            let whole = |kept: &&mut Kept| {
                kept.parts.iter().map(|part| part.bytes.len() as u64).sum::<u64>()
                    == kept.artifact.bytes
            };
            let kept = tables
                .open(id)
                .filter(whole)
                .ok_or(StoreError::Invalid("the artifact is not open, or not whole"))?;
            kept.whole = true;
            Ok(())
        })
    }

    fn artifact<'a>(
        &'a self,
        workspace: &'a str,
        id: ArtifactId,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Artifact>, StoreError>> {
        self.with(|tables| {
            Ok(tables
                .kept(workspace, id, at)
                .filter(|kept| kept.whole)
                .map(|kept| kept.artifact.clone()))
        })
    }

    fn artifact_part<'a>(
        &'a self,
        workspace: &'a str,
        id: ArtifactId,
        at: Timestamp,
        place: ArtifactAt,
    ) -> BoxFuture<'a, Result<Option<ArtifactPart>, StoreError>> {
        self.with(|tables| {
            let kept = tables.kept(workspace, id, at).filter(|kept| kept.whole);
            Ok(kept.and_then(|kept| {
                let here = |part: &&ArtifactPart| match place {
                    ArtifactAt::Byte(offset) => {
                        u64::from(part.index) == offset / ARTIFACT_PART_BYTES as u64
                    }
                    ArtifactAt::Line(line) => part.index == 0 || part.newlines_before + 1 < line,
                };
                kept.parts.iter().rev().find(here).cloned()
            }))
        })
    }

    fn artifacts<'a>(
        &'a self,
        workspace: &'a str,
        at: Timestamp,
        filter: ArtifactFilter,
    ) -> BoxFuture<'a, Result<ArtifactPage, StoreError>> {
        self.with(|tables| {
            let bad = |cursor: &String| StoreError::BadCursor(cursor.chars().take(80).collect());
            let place = |cursor: &String| {
                cursor
                    .strip_prefix("at-")
                    .and_then(|n| n.parse::<usize>().ok())
                    .ok_or_else(|| bad(cursor))
            };
            let before = filter.cursor.as_ref().map(place).transpose()?.unwrap_or(usize::MAX);
            let there = |(n, kept): &(usize, &Kept)| *n < before && kept.is_there(workspace, at);
            let mut all = tables.artifacts.iter().enumerate().rev().filter(there);
            let taken: Vec<_> = all.by_ref().take(filter.limit as usize).collect();
            let next_cursor = all.next().and(taken.last()).map(|(n, _)| format!("at-{n}"));
            Ok(ArtifactPage {
                artifacts: taken.into_iter().map(|(_, kept)| kept.artifact.clone()).collect(),
                next_cursor,
            })
        })
    }

    fn remove_artifact(&self, workspace: &str, id: ArtifactId, at: Timestamp) -> Written<bool> {
        self.with(|tables| {
            let kept = tables.kept(workspace, id, at);
            Ok(kept.map(|kept| kept.artifact.expires_at = Timestamp::UNIX_EPOCH).is_some())
        })
    }

    fn sweep_artifacts(&self, at: Timestamp) -> Written<Swept> {
        self.with(|tables| Ok(tables.sweep(at)))
    }
}
