//! The host functions about artifacts: `tools.artifacts.read`, `lines`, `search`, `json`, `list`
//! and `remove`.

use std::borrow::Cow;

use serde_json::{Value, json, value::RawValue};

use super::{
    ArtifactError, Artifacts, RESPONSE_BYTES_MAX, pointer,
    scan::{Line, Lines, Search, line_start, pattern},
    string::Reading,
};
use crate::{
    base::offload::offload,
    catalog::host_arguments,
    model::{
        Artifact, ArtifactFunction, ArtifactId, ArtifactJson, ArtifactKind, ArtifactLines,
        HANDLE_FIELDS, HANDLE_KEY, HostFunction, HostFunctionId, ListArtifacts, Media, RawJson,
        ReadArtifact, RemoveArtifact, SearchArtifact, handle_id,
    },
    store::{ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter, StoreError},
};

/// Bytes of a slice, unless the program sets a length.
const READ_BYTES: u64 = 64 * 1024;
/// Lines, matches and entries of a list, unless the program sets a limit.
const LINES: u32 = 100;
const HITS: u32 = 50;
const LIST: u32 = 50;

impl Artifacts {
    /// Performs one of these functions. Stops when it is dropped.
    pub async fn call(
        &self,
        workspace_id: &str,
        id: ArtifactFunction,
        args: &str,
    ) -> Result<RawJson, ArtifactError> {
        let function = HostFunction::of(HostFunctionId::Artifacts(id));
        let value = match id {
            ArtifactFunction::Read => self.read(workspace_id, given(function, args)?).await,
            ArtifactFunction::Lines => self.lines(workspace_id, given(function, args)?).await,
            ArtifactFunction::Search => self.search(workspace_id, given(function, args)?).await,
            ArtifactFunction::Json => return self.json(workspace_id, given(function, args)?).await,
            ArtifactFunction::List => self.list(workspace_id, given(function, args)?).await,
            ArtifactFunction::Remove => {
                self.remove_named(workspace_id, given(function, args)?).await
            }
        }?;
        RawValue::from_string(value.to_string()).map_err(|_| ArtifactError::Unreadable)
    }

    async fn read(&self, workspace_id: &str, query: ReadArtifact) -> Result<Value, ArtifactError> {
        let artifact = self.named(workspace_id, &query.id).await?;
        let length = query.length.unwrap_or(READ_BYTES);
        if let Some(pointer) = &query.pointer {
            let reading = Reading::Slice { offset: query.offset, length };
            return self.read_string(&artifact, pointer, reading).await;
        }
        if query.offset > artifact.bytes {
            return Err(ArtifactError::InvalidArguments(format!(
                "`offset` is {}; the artifact is {} bytes",
                query.offset, artifact.bytes
            )));
        }
        let _permit = self.0.reads.acquire().await;
        let piece = self.slice(&artifact, query.offset, length).await?;
        Ok(json!({
            "text": piece.text, "offset": piece.offset, "nextOffset": piece.next_offset,
            "totalBytes": piece.total_bytes,
        }))
    }

    async fn lines(
        &self,
        workspace_id: &str,
        query: ArtifactLines,
    ) -> Result<Value, ArtifactError> {
        let artifact = self.named_text(workspace_id, &query.id).await?;
        let limit = query.limit.unwrap_or(LINES) as usize;
        if let Some(pointer) = &query.pointer {
            let reading = Reading::Lines { from: query.from.unwrap_or(1).max(1), limit };
            return self.read_string(&artifact, pointer, reading).await;
        }
        let from = within_lines(&artifact, query.from)?;
        let _permit = self.0.reads.acquire().await;
        let (mut part, start) = self.part_of_line(&artifact, from).await?;
        let mut at = part.offset() + start as u64;
        let mut lines = Lines::new(from, at, limit);
        loop {
            let skipped = usize::try_from(at - part.offset()).unwrap_or_default();
            lines.feed(part.bytes.get(skipped..).unwrap_or_default(), at);
            at = part.offset() + part.bytes.len() as u64;
            if lines.is_done() || at >= artifact.bytes {
                break;
            }
            part = self.present(&artifact, ArtifactAt::Byte(at)).await?;
        }
        lines.finish(at);
        let next = Some(lines.next()).filter(|next| *next <= artifact.lines);
        Ok(json!({ "lines": lines.found, "nextFrom": next, "totalLines": artifact.lines }))
    }

    async fn search(
        &self,
        workspace_id: &str,
        query: SearchArtifact,
    ) -> Result<Value, ArtifactError> {
        let regex = pattern(&query.pattern).map_err(ArtifactError::InvalidArguments)?;
        let artifact = self.named_text(workspace_id, &query.id).await?;
        if query.from.is_some() && query.offset.is_some() {
            let message = "give `from` (a line) or `offset` (a byte), not both".to_owned();
            return Err(ArtifactError::InvalidArguments(message));
        }
        let limit = query.limit.unwrap_or(HITS) as usize;
        if let Some(pointer) = &query.pointer {
            let reading = Reading::Search { regex, from: query.from, offset: query.offset, limit };
            return self.read_string(&artifact, pointer, reading).await;
        }
        let _permit = self.0.reads.acquire().await;
        let (mut part, start, line) = match query.offset {
            Some(offset) if offset >= artifact.bytes => {
                return Err(ArtifactError::InvalidArguments(format!(
                    "`offset` is {offset}; the artifact is {} bytes",
                    artifact.bytes
                )));
            }
            Some(offset) => {
                let part = self.present(&artifact, ArtifactAt::Byte(offset)).await?;
                let start = usize::try_from(offset - part.offset()).unwrap_or_default();
                let breaks = part.bytes.iter().take(start).filter(|byte| **byte == b'\n').count();
                let line = part.newlines_before + breaks as u64 + 1;
                (part, start, line)
            }
            None => {
                let from = within_lines(&artifact, query.from)?;
                let (part, start) = self.part_of_line(&artifact, from).await?;
                (part, start, from)
            }
        };
        let begin = part.offset() + start as u64;
        let mut search = match part.bytes.get(..start) {
            // The end of the part before shows whether a line begins here.
            Some([]) if begin > 0 => {
                let before = self.present(&artifact, ArtifactAt::Byte(begin - 1)).await?;
                Search::new(regex, line, begin, limit, &before.bytes)
            }
            before => Search::new(regex, line, begin, limit, before.unwrap_or_default()),
        };
        let mut skipped = start;
        loop {
            let end = part.offset() + part.bytes.len() as u64;
            let is_last = end >= artifact.bytes;
            // A pattern may take a while over a part: never on a thread that serves others.
            search = offload(move || {
                search.feed(part.bytes.get(skipped..).unwrap_or_default());
                if is_last {
                    search.finish();
                }
                search
            })
            .await
            .map_err(|_| ArtifactError::Unreadable)?;
            if is_last || search.next.is_some() {
                break;
            }
            part = self.present(&artifact, ArtifactAt::Byte(end)).await?;
            skipped = 0;
        }
        let next = search.next.filter(|next| *next < artifact.bytes);
        let hits: &[Line] = &search.found;
        Ok(json!({ "matches": hits, "nextOffset": next, "totalLines": artifact.lines }))
    }

    /// The part in which a line begins, and where in it.
    async fn part_of_line(
        &self,
        artifact: &Artifact,
        line: u64,
    ) -> Result<(crate::store::ArtifactPart, usize), ArtifactError> {
        let part = self.present(artifact, ArtifactAt::Line(line)).await?;
        let start = line_start(&part, line).ok_or(ArtifactError::Unreadable)?;
        Ok((part, start))
    }

    async fn json(
        &self,
        workspace_id: &str,
        query: ArtifactJson,
    ) -> Result<RawJson, ArtifactError> {
        let steps = pointer::steps(&query.pointer).map_err(ArtifactError::InvalidArguments)?;
        let artifact = self.named(workspace_id, &query.id).await?;
        if artifact.kind != ArtifactKind::Json {
            let message = match artifact.media {
                None => {
                    format!(
                        "`{}` is a string, not JSON; use `read`, `lines` or `search`",
                        artifact.id
                    )
                }
                Some(media) => no_text(&artifact.id, &media),
            };
            return Err(ArtifactError::InvalidArguments(message));
        }
        // The semaphore is never closed.
        let permit = self.0.pointer_reads.clone().acquire_owned().await;
        let text = self.text(&artifact).await?;
        let pointer = query.pointer;
        let found = offload(move || {
            let _permit = permit;
            let value = pointer::find(&text, &steps).map_err(|_| ArtifactError::Unreadable)?;
            match value {
                None => Err(ArtifactError::InvalidArguments(format!(
                    "there is nothing at `pointer` {pointer:?}"
                ))),
                Some(value) if value.get().len() > RESPONSE_BYTES_MAX => {
                    Err(ArtifactError::InvalidArguments(format!(
                        "the value at `pointer` {pointer:?} is {} bytes; the limit is \
                        {RESPONSE_BYTES_MAX}; point to a part of it, or use `read`",
                        value.get().len()
                    )))
                }
                Some(value) => Ok(value.to_owned()),
            }
        });
        found.await.map_err(|_| ArtifactError::Unreadable)?
    }

    async fn list(&self, workspace_id: &str, query: ListArtifacts) -> Result<Value, ArtifactError> {
        let limit = query.limit.unwrap_or(LIST).min(ARTIFACTS_LIST_MAX);
        self.page(workspace_id, limit, query.cursor).await.map_err(|error| match error {
            StoreError::BadCursor(_) => ArtifactError::InvalidArguments(
                "`cursor` must be the `nextCursor` of the page before".to_owned(),
            ),
            error => ArtifactError::Store(error),
        })
    }

    /// A page of the workspace's artifacts, as lists show them.
    pub async fn page(
        &self,
        workspace_id: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Value, StoreError> {
        let now = crate::model::Timestamp::now();
        let page =
            self.0.store.artifacts(workspace_id, now, ArtifactFilter { limit, cursor }).await?;
        let listed: Vec<Value> = page.artifacts.iter().map(Artifact::listed).collect();
        Ok(json!({ "artifacts": listed, "nextCursor": page.next_cursor }))
    }

    /// The artifact of this id, which has lines.
    async fn named_text(&self, workspace_id: &str, id: &str) -> Result<Artifact, ArtifactError> {
        let artifact = self.named(workspace_id, id).await?;
        match &artifact.media {
            None => Ok(artifact),
            Some(media) => Err(ArtifactError::InvalidArguments(no_text(&artifact.id, media))),
        }
    }

    async fn remove_named(
        &self,
        workspace_id: &str,
        query: RemoveArtifact,
    ) -> Result<Value, ArtifactError> {
        let artifact = self.named(workspace_id, &query.id).await?;
        match self.remove(workspace_id, artifact.id).await.map_err(ArtifactError::Store)? {
            true => Ok(json!({ "removed": true })),
            false => Err(ArtifactError::NotFound(query.id)),
        }
    }
}

fn given<Args: serde::de::DeserializeOwned>(
    function: &HostFunction,
    args: &str,
) -> Result<Args, ArtifactError> {
    host_arguments(function, &with_id(args))
        .map_err(|error| ArtifactError::InvalidArguments(error.to_string()))
}

/// Replaces a handle by its id. The handle may be the `id`, or the arguments themselves with
/// further fields.
fn with_id(args: &str) -> Cow<'_, str> {
    if !args.contains(HANDLE_KEY) {
        return args.into();
    }
    let Ok(Value::Object(mut query)) = serde_json::from_str(args) else { return args.into() };
    let id = match query.get("id") {
        Some(given) => handle_id(given).map(str::to_owned),
        None => query.get(HANDLE_KEY).and_then(Value::as_str).map(str::to_owned),
    };
    let Some(id) = id else { return args.into() };
    if query.insert("id".to_owned(), id.into()).is_none() {
        query.retain(|name, _| name != HANDLE_KEY && !HANDLE_FIELDS.contains(&name.as_str()));
    }
    Value::Object(query).to_string().into()
}

fn no_text(id: &ArtifactId, media: &Media) -> String {
    format!(
        "`{id}` is {} of {} bytes, which has neither lines nor members; pass its handle on or \
        return it; `read` gives its base64",
        media.mime_type, media.bytes
    )
}

fn within_lines(artifact: &Artifact, from: Option<u64>) -> Result<u64, ArtifactError> {
    let from = from.unwrap_or(1).max(1);
    match from <= artifact.lines {
        true => Ok(from),
        false => Err(ArtifactError::InvalidArguments(format!(
            "`from` is {from}; the artifact has {} lines",
            artifact.lines
        ))),
    }
}
