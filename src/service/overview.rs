//! How much is on record, and ids by their first characters.

use super::{
    Service, ServiceError,
    tasks::store_error,
    view::{IdList, Overview},
};
use crate::{
    model::{ErrorCode, IdBeginning, Principal, Timestamp},
    store::Counts,
};

impl Service {
    /// The ids of the workspace that begin so, the newest first, at most 10.
    pub(super) async fn id_list(
        &self,
        who: &Principal,
        begins: &str,
    ) -> Result<IdList, ServiceError> {
        let beginning: IdBeginning = begins.parse().map_err(|error| {
            ServiceError::new(ErrorCode::InvalidArgument, format!("`begins`: {error}"))
        })?;
        let ids = self.store.ids(&who.workspace_id, Timestamp::now(), beginning).await;
        Ok(IdList { ids: ids.map_err(store_error)? })
    }

    /// How much the workspace has on record.
    pub(super) async fn overview(&self, who: &Principal) -> Result<Overview, ServiceError> {
        let counts = self.store.counts(&who.workspace_id, Timestamp::now()).await;
        let Counts { tasks, unfinished_tasks, pending_approvals, artifacts } =
            counts.map_err(store_error)?;
        Ok(Overview { tasks, unfinished_tasks, pending_approvals, artifacts })
    }
}
