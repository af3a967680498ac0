//! What a program asks of kept answers: `tools.artifacts.read`, `lines`, `search`, `json`, `list`
//! and `remove`.

use std::{borrow::Cow, sync::LazyLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    ANSWER_BYTES_MAX, Artifacts, Failed, pointer,
    scan::{Line, Lines, Search, line_start, pattern},
};
use crate::{
    base::offload::offload,
    catalog::{FindError, HostFunction, HostFunctions},
    model::{Artifact, ArtifactKind, HANDLE_FIELDS, HANDLE_KEY, RawJson, handle_id},
    sandbox::CallFailure,
    store::{ARTIFACTS_LIST_MAX, ArtifactAt, ArtifactFilter, StoreError},
    task::call::rejection,
};

/// Bytes of a slice, if not said and at the most.
const READ_BYTES: u64 = 64 * 1024;
/// Lines, if not said; hits, if not said; entries of a list, if not said.
const LINES: u32 = 100;
const HITS: u32 = 50;
const LIST: u32 = 50;

/// `artifacts.read`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    /// The id in a handle.
    id: String,
    /// The byte to begin with.
    #[serde(default)]
    offset: u64,
    /// How many bytes.
    #[schemars(range(min = 1, max = 1_048_576))]
    length: Option<u64>,
}

/// `artifacts.lines`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinesOf {
    /// The id in a handle.
    id: String,
    /// The line to begin with, from 1.
    #[schemars(range(min = 1))]
    from: Option<u64>,
    /// How many lines.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

/// `artifacts.search`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchIn {
    /// The id in a handle.
    id: String,
    /// A regular expression, without look-around and back references.
    pattern: String,
    /// How many hits.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// The line to begin with, from 1.
    #[schemars(range(min = 1))]
    from: Option<u64>,
    /// The byte to begin with: `nextOffset` of the answer before.
    offset: Option<u64>,
}

/// `artifacts.json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct JsonAt {
    /// The id in a handle.
    id: String,
    /// A JSON Pointer, such as `/items/0/name`.
    pointer: String,
}

/// `artifacts.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// How many.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// `artifacts.remove`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Remove {
    /// The id in a handle.
    id: String,
}

/// The first segment of these functions' paths. No upstream can be called so.
const NAMESPACE: &str = "artifacts";

static FUNCTIONS: LazyLock<HostFunctions> = LazyLock::new(|| {
    let number = || json!({ "type": "integer" });
    let or_null = |kind: &str| json!({ "type": [kind, "null"] });
    let object = |properties: Value| {
        let required: Vec<String> =
            properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        json!({ "type": "object", "properties": properties, "required": required })
    };
    let line = json!({
        "type": "object", "required": ["line", "offset", "text"],
        "properties": { "line": number(), "offset": number(), "text": { "type": "string" }, "cut": { "type": "boolean" } },
    });
    let lines = || json!({ "type": "array", "items": line });
    HostFunctions::new(
        NAMESPACE,
        vec![
            HostFunction::new::<Read>("artifacts.read").told(
                "Reads a slice of a kept answer, in bytes; `id` is the handle or its id.",
                &object(json!({
                    "text": { "type": "string" }, "offset": number(),
                    "nextOffset": or_null("integer"), "totalBytes": number(),
                })),
            ),
            HostFunction::new::<LinesOf>("artifacts.lines").told(
                "Reads lines of a kept answer, from 1; `id` is the handle or its id.",
                &object(json!({ "lines": lines(), "nextFrom": or_null("integer"), "totalLines": number() })),
            ),
            HostFunction::new::<SearchIn>("artifacts.search").told(
                "Searches a kept answer for a regular expression, line by line; `id` is the \
                handle or its id.",
                &object(json!({ "matches": lines(), "nextOffset": or_null("integer"), "totalLines": number() })),
            ),
            HostFunction::new::<JsonAt>("artifacts.json")
                .told("Gives the value at a JSON Pointer of a kept answer; `id` is the handle or \
                    its id.", &json!({})),
            HostFunction::new::<List>("artifacts.list").told(
                "Lists the kept answers of this workspace, the newest first.",
                &object(
                    json!({ "artifacts": { "type": "array", "items": { "type": "object" } }, "nextCursor": or_null("string") }),
                ),
            ),
            HostFunction::new::<Remove>("artifacts.remove").told(
                "Removes a kept answer before its time; `id` is the handle or its id.",
                &object(json!({ "removed": { "type": "boolean" } })),
            ),
        ],
    )
});

impl Artifacts {
    /// Answers one of these functions, and what is asked about them; none where the path is not
    /// theirs. Dropped, it stops.
    pub(in crate::task) async fn answer(
        &self,
        workspace_id: &str,
        path: &str,
        args: &str,
    ) -> Option<Result<RawJson, CallFailure>> {
        if let Some(found) = Self::about(path, args) {
            return Some(found.map_err(|error| rejection::not_found(path, error)));
        }
        match FUNCTIONS.get(path) {
            Ok(None) => None,
            Ok(Some(function)) => Some(
                self.perform(workspace_id, function, args)
                    .await
                    .map_err(|error| error.failure(function.path())),
            ),
            Err(absent) => Some(Err(rejection::unresolved(absent.into()))),
        }
    }

    /// What a finding function answers about these functions; none where it was asked about
    /// something else.
    pub fn about(function: &str, args: &str) -> Option<Result<RawJson, FindError>> {
        FUNCTIONS.find(function, args)
    }

    async fn perform(
        &self,
        workspace_id: &str,
        function: &HostFunction,
        args: &str,
    ) -> Result<RawJson, Failed> {
        let value = match function.path() {
            "artifacts.read" => self.read(workspace_id, given(function, args)?).await,
            "artifacts.lines" => self.lines(workspace_id, given(function, args)?).await,
            "artifacts.search" => self.search(workspace_id, given(function, args)?).await,
            "artifacts.json" => return self.json(workspace_id, given(function, args)?).await,
            "artifacts.list" => self.list(workspace_id, given(function, args)?).await,
            _ => self.remove_named(workspace_id, given(function, args)?).await,
        }?;
        RawValue::from_string(value.to_string()).map_err(|_| Failed::Unreadable)
    }

    async fn read(&self, workspace_id: &str, asked: Read) -> Result<Value, Failed> {
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

    async fn lines(&self, workspace_id: &str, asked: LinesOf) -> Result<Value, Failed> {
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

    async fn search(&self, workspace_id: &str, asked: SearchIn) -> Result<Value, Failed> {
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

    async fn json(&self, workspace_id: &str, asked: JsonAt) -> Result<RawJson, Failed> {
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

    async fn list(&self, workspace_id: &str, asked: List) -> Result<Value, Failed> {
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

    async fn remove_named(&self, workspace_id: &str, asked: Remove) -> Result<Value, Failed> {
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
    function.arguments(&with_id(args)).map_err(|error| Failed::Arguments(error.to_string()))
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
