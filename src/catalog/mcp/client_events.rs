//! Handles the notifications and requests of a server. It is offered neither elicitation nor
//! sampling.

use std::sync::Arc;

use rmcp::{
    ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, CustomRequest, CustomResult, ElicitRequestParams,
        ElicitResult, ErrorCode, ErrorData, Implementation, ProgressNotificationParam,
    },
    service::{NotificationContext, RequestContext},
};
use tokio::sync::Notify;

use super::{
    elicitation::{self, Questions},
    progress::ProgressRouter,
};

/// Handles notifications and requests of a server.
#[derive(Clone, Default)]
pub(super) struct ClientEvents {
    pub(super) list_changed: Arc<Notify>,
    pub(super) questions: Arc<Questions>,
    pub(super) progress: Arc<ProgressRouter>,
}

impl ClientEvents {
    fn refuse(&self, method: &str, params: &impl serde::Serialize) -> ErrorData {
        let params = serde_json::to_value(params).unwrap_or_default();
        self.questions.refuse(elicitation::asked(method, &params));
        ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            format!("{method} is not offered: nobody can answer while a program runs"),
            None,
        )
    }
}

impl ClientHandler for ClientEvents {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("airlock", env!("CARGO_PKG_VERSION")).with_title("Airlock"),
        )
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.list_changed.notify_one();
    }

    async fn on_progress(
        &self,
        notice: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.progress.route(&notice);
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Err(self.refuse("elicitation/create", &request))
    }

    // The library would repeat the method, which is as long as the server likes, in its refusal and
    // its log.
    async fn on_custom_request(
        &self,
        _request: CustomRequest,
        _context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "there is no such method", None))
    }

    #[expect(deprecated, reason = "servers of the legacy era still ask for it")]
    async fn create_message(
        &self,
        _request: rmcp::model::CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::CreateMessageResult, ErrorData> {
        Err(self.refuse("sampling/createMessage", &()))
    }
}
