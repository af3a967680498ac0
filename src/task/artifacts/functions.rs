//! What a program asks of kept answers: `tools.artifacts.read`, `lines`, `search`, `json`, `list`
//! and `remove`.

use std::borrow::Cow;

use serde_json::{Value, json, value::RawValue};

use super::{
    ANSWER_BYTES_MAX, Artifacts, Failed, pointer,
    scan::{Line, Lines, Search, line_start, pattern},
};
use crate::{
    base::offload::offload,
    catalog::host_arguments,
    model::{
        Artifact, ArtifactFunction, ArtifactJson, ArtifactKind, ArtifactLines, HANDLE_FIELDS,
        HANDLE_KEY, HostFunction, HostFunctionId, ListArtifacts, RawJson, ReadArtifact,
        RemoveArtifact, SearchArtifact, handle_id,
    },
    sandbox::CallFailure,
    store::{ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter, StoreError},
};

/// Bytes of a slice, if not said and at the most.
const READ_BYTES: u64 = 64 * 1024;
/// Lines, if not said; hits, if not said; entries of a list, if not said.
const LINES: u32 = 100;
const HITS: u32 = 50;
const LIST: u32 = 50;

impl Artifacts {
    /// Performs one of these functions. Stops when it is dropped.
    pub(in crate::task) async fn call(
        &self,
        workspace_id: &str,
        id: ArtifactFunction,
        args: &str,
    ) -> Result<RawJson, CallFailure> {
        let function = HostFunction::of(HostFunctionId::Artifacts(id));
        let called = self.perform(workspace_id, id, function, args).await;
        called.map_err(|error| error.failure(function.path))
    }

    async fn perform(
        &self,
        workspace_id: &str,
        id: ArtifactFunction,
        function: &HostFunction,
        args: &str,
    ) -> Result<RawJson, Failed> {
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
        RawValue::from_string(value.to_string()).map_err(|_| Failed::Unreadable)
    }

    async fn read(&self, workspace_id: &str, asked: ReadArtifact) -> Result<Value, Failed> {
        let artifact = self.named(workspace_id, &asked.id).await?;
        if asked.offset > artifact.bytes {
            return Err(Failed::Arguments(format!(
                "`offset` is {}, the artifact has {} bytes",
                asked.offset, artifact.bytes
            )));
        }
        let _place = self.0.readers.acquire().await;
        let piece = self.slice(&artifact, asked.offset, asked.length.unwrap_or(READ_BYTES)).await?;
        Ok(json!({
            "text": piece.text, "offset": piece.offset, "nextOffset": piece.next_offset,
            "totalBytes": piece.total_bytes,
        }))
    }

    async fn lines(&self, workspace_id: &str, asked: ArtifactLines) -> Result<Value, Failed> {
        let artifact = self.named(workspace_id, &asked.id).await?;
        let from = within_lines(&artifact, asked.from)?;
        let _place = self.0.readers.acquire().await;
        let (mut part, start) = self.part_of_line(&artifact, from).await?;
        let mut at = part.offset() + start as u64;
        let mut lines = Lines::new(from, at, asked.limit.unwrap_or(LINES) as usize);
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

    async fn search(&self, workspace_id: &str, asked: SearchArtifact) -> Result<Value, Failed> {
        let regex = pattern(&asked.pattern).map_err(Failed::Arguments)?;
        let artifact = self.named(workspace_id, &asked.id).await?;
        if asked.from.is_some() && asked.offset.is_some() {
            return Err(Failed::Arguments(
                "give `from` (a line) or `offset` (a byte), not both".to_owned(),
            ));
        }
        let _place = self.0.readers.acquire().await;
        let (mut part, start, line) = match asked.offset {
            Some(offset) if offset >= artifact.bytes => {
                return Err(Failed::Arguments(format!(
                    "`offset` is {offset}, the artifact has {} bytes",
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
                let from = within_lines(&artifact, asked.from)?;
                let (part, start) = self.part_of_line(&artifact, from).await?;
                (part, start, from)
            }
        };
        let begin = part.offset() + start as u64;
        let limit = asked.limit.unwrap_or(HITS) as usize;
        let mut search = match part.bytes.get(..start) {
            // Whether a line begins here, the part before says.
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
            .map_err(|_| Failed::Unreadable)?;
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
    ) -> Result<(crate::store::ArtifactPart, usize), Failed> {
        let part = self.present(artifact, ArtifactAt::Line(line)).await?;
        let start = line_start(&part, line).ok_or(Failed::Unreadable)?;
        Ok((part, start))
    }

    async fn json(&self, workspace_id: &str, asked: ArtifactJson) -> Result<RawJson, Failed> {
        let steps = pointer::steps(&asked.pointer).map_err(Failed::Arguments)?;
        let artifact = self.named(workspace_id, &asked.id).await?;
        if artifact.kind != ArtifactKind::Json {
            let message =
                format!("`{}` is a text, not JSON; use `read`, `lines` or `search`", artifact.id);
            return Err(Failed::Arguments(message));
        }
        // The semaphore is never closed.
        let place = self.0.looking.clone().acquire_owned().await;
        let text = self.text(&artifact).await?;
        let shown = asked.pointer;
        let found = offload(move || {
            let _place = place;
            let value = pointer::find(&text, &steps).map_err(|_| Failed::Unreadable)?;
            match value {
                None => Err(Failed::Arguments(format!("there is nothing at `pointer` {shown:?}"))),
                Some(value) if value.get().len() > ANSWER_BYTES_MAX => {
                    Err(Failed::Arguments(format!(
                        "the value at `pointer` {shown:?} has {} bytes, allowed are \
                        {ANSWER_BYTES_MAX}; point to a part of it, or use `read`",
                        value.get().len()
                    )))
                }
                Some(value) => Ok(value.to_owned()),
            }
        });
        found.await.map_err(|_| Failed::Unreadable)?
    }

    async fn list(&self, workspace_id: &str, asked: ListArtifacts) -> Result<Value, Failed> {
        let limit = asked.limit.unwrap_or(LIST).min(ARTIFACTS_LIST_MAX);
        self.page(workspace_id, limit, asked.cursor).await.map_err(|error| match error {
            StoreError::BadCursor(_) => {
                Failed::Arguments("`cursor` must be the `nextCursor` of the page before".to_owned())
            }
            error => Failed::Store(error),
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
        let told: Vec<Value> = page.artifacts.iter().map(Artifact::told).collect();
        Ok(json!({ "artifacts": told, "nextCursor": page.next_cursor }))
    }

    async fn remove_named(
        &self,
        workspace_id: &str,
        asked: RemoveArtifact,
    ) -> Result<Value, Failed> {
        let artifact = self.named(workspace_id, &asked.id).await?;
        match self.remove(workspace_id, artifact.id).await.map_err(Failed::Store)? {
            true => Ok(json!({ "removed": true })),
            false => Err(Failed::Gone(asked.id)),
        }
    }
}

fn given<Args: serde::de::DeserializeOwned>(
    function: &HostFunction,
    args: &str,
) -> Result<Args, Failed> {
    host_arguments(function, &with_id(args)).map_err(|error| Failed::Arguments(error.to_string()))
}

/// The arguments with the id of the handle that stands where an id is asked for: as `id`, or as the
/// arguments themselves, with what else is asked among its fields.
fn with_id(args: &str) -> Cow<'_, str> {
    if !args.contains(HANDLE_KEY) {
        return args.into();
    }
    let Ok(Value::Object(mut asked)) = serde_json::from_str(args) else { return args.into() };
    let id = match asked.get("id") {
        Some(given) => handle_id(given).map(str::to_owned),
        None => asked.get(HANDLE_KEY).and_then(Value::as_str).map(str::to_owned),
    };
    let Some(id) = id else { return args.into() };
    if asked.insert("id".to_owned(), id.into()).is_none() {
        asked.retain(|name, _| name != HANDLE_KEY && !HANDLE_FIELDS.contains(&name.as_str()));
    }
    Value::Object(asked).to_string().into()
}

fn within_lines(artifact: &Artifact, from: Option<u64>) -> Result<u64, Failed> {
    let from = from.unwrap_or(1).max(1);
    match from <= artifact.lines {
        true => Ok(from),
        false => Err(Failed::Arguments(format!(
            "`from` is {from}, the artifact has {} lines",
            artifact.lines
        ))),
    }
}
