//! What becomes of a response: the media in it and a response that is too large are stored, and the
//! program gets handles.

use super::{CallEvent, CallPipeline, CallRejection, Performed, artifact_failure};
use crate::{
    artifacts::{self, Draft, Origin, RESPONSE_BYTES_MAX},
    catalog::Tool,
    model::{Artifact, RawJson},
};

impl CallPipeline<'_> {
    /// Infers the type of the tool's result from a response.
    pub(super) fn learn(&self, tool: &Tool, response: &RawJson) {
        let workspace = &self.context.task.principal.workspace_id;
        self.context.services.catalog.learn(tool, workspace, response);
    }

    /// Stores the media in a response, and a response that is too large; the program gets handles.
    pub(super) async fn store_response(&mut self) -> Performed {
        let (context, artifacts) = (self.context, &self.context.services.artifacts);
        let tool = self.tool()?.clone();
        let origin = Origin {
            workspace_id: &context.task.principal.workspace_id,
            task_id: context.task.id,
            tool: &tool.path,
        };
        let response = self.response.take();
        let mut response =
            response.ok_or_else(|| CallRejection::in_doubt("the response is not known"))?;
        let failed = |error| artifact_failure(&tool.path, error);
        let mut stored = Vec::new();
        for mut block in std::mem::take(&mut response.media) {
            let place = std::mem::take(&mut block.place);
            let draft = context.unless_dropped(artifacts.draft_media(origin, block)).await?;
            stored.push((place, self.written(draft.map_err(failed)?).await?));
        }
        if !stored.is_empty() {
            response.json = artifacts::with_handles(&response.json, &stored).map_err(failed)?;
            self.learn(&tool, &response.json);
        }
        if response.json.get().len() <= RESPONSE_BYTES_MAX {
            self.response = Some(response);
            return Ok(CallEvent::Stored);
        }
        // The memory permit is held until it is written.
        let (json, _permit) = response.parted();
        let draft = context.unless_dropped(artifacts.draft(origin, json)).await?.map_err(failed)?;
        self.artifact = Some(self.written(draft).await?);
        Ok(CallEvent::Stored)
    }

    /// Writes an artifact; one that the run does not wait for is taken back.
    async fn written(&self, draft: Draft) -> Result<Artifact, CallEvent> {
        let (context, artifacts) = (self.context, &self.context.services.artifacts);
        let written = context.unless_dropped(artifacts.write(&draft)).await;
        let written = written.inspect_err(|_| artifacts.discard(&draft))?;
        written.map_err(|error| artifact_failure(self.path(), error))?;
        Ok(draft.artifact)
    }
}
