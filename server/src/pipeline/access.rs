//! What a user may do, looked up for every statement in what this member has applied (docs/adr/0021): who is dropped or loses a right is
//! refused at the next statement, in the sessions that are open, too.

use super::{Pipeline, Replication, refusal};
use geode_graph::{GraphError, UserRecord, rights, user};
use geode_query::Access;
use geode_store::Store;
use geode_types::QueryError;

impl<R: Replication> Pipeline<R> {
    /// What somebody who has logged in may do now.
    pub(crate) fn access(&self, who: &UserRecord) -> Result<Access, QueryError> {
        // Nobody logs in without a name: this is the process itself.
        if who.name.is_empty() {
            return Ok(Access::EVERYTHING);
        }
        // The newest state, not that of an open transaction, which would keep every right as long as it lasts.
        let read = self.replication.store().read().map_err(GraphError::from)?;
        let record = user(&read, &who.name)?.ok_or_else(|| refusal::dropped(&who.name))?;
        Ok(Access {
            rights: rights(&read, &record)?,
            user: record.name,
        })
    }
}
