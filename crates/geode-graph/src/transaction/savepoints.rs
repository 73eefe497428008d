//! Savepoints by name (ISO/IEC 9075-2, 17.4 and 17.5): a transaction keeps them as a stack; a name that is set again hides the older one.

use super::Transaction;
use crate::error::{GraphError, Result};
use geode_store::ReadTxn;

/// The most savepoints that a transaction has at a time.
const MAX_SAVEPOINTS: usize = 1024;

impl<R: ReadTxn> Transaction<R> {
    /// Sets a savepoint.
    pub fn set_savepoint(&mut self, name: &str) -> Result<()> {
        crate::catalog::check_name(name)?;
        if self.savepoints.len() >= MAX_SAVEPOINTS {
            return Err(GraphError::TooManySavepoints);
        }
        let savepoint = self.savepoint();
        self.savepoints.push((name.to_owned(), savepoint));
        Ok(())
    }

    /// Takes back every write since the savepoint was set. It stays, those set after it go.
    pub fn rollback_to_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        self.savepoints.truncate(at + 1);
        if let Some((_, savepoint)) = self.savepoints.last() {
            let savepoint = *savepoint;
            self.rollback_to(&savepoint);
        }
        Ok(())
    }

    /// Forgets the savepoint and those set after it. What was written stays.
    pub fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        let found = self.savepoints.iter().rposition(|(known, _)| known == name);
        found.ok_or_else(|| GraphError::NoSavepoint(name.to_owned()))
    }
}
