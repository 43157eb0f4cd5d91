//! The account of what is done about a queue's messages.

use std::sync::Arc;

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::management::api::Api;
use crate::management::audit::{Act, Deed};

/// What is done, by whom, to what.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) deed: Deed,
    pub(super) user: Arc<str>,
    /// From which address.
    pub(super) from: String,
    /// To what, and how: an object.
    pub(super) about: Value,
}

impl Account {
    /// Writes down how many messages it has been done to, and what came of it.
    /// Returns once that is on disk.
    pub(super) async fn write(self, api: &Arc<Api>, count: u64, outcome: &'static str) {
        let api = Arc::clone(api);
        let written = spawn_blocking(move || {
            let act = Act {
                deed: self.deed,
                user: &self.user,
                from: &self.from,
                about: self.about,
                count,
                outcome,
            };
            let now = api.shared.now().unix_ms;
            api.audit.record(&act, now, api.shared.vhosts.herald());
        });
        // It logs what goes wrong.
        let _written = written.await;
    }
}
