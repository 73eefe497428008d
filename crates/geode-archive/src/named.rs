//! One backup of an archive, by its name: what it consists of, and what is said when there is none of that name. Pure: no store.

use crate::catalogue::Unreadable;
use crate::fetch::FetchError;
use crate::inventory::{ArchivedSegment, BaseBackup, Inventory};
use geode_types::LogIndex;

/// So many names are told when the one that was asked for is not there.
const NAMES_MAX: usize = 10;

impl Inventory {
    /// The last entry of the backup of this name, or what is wrong with the name.
    pub fn end_of(&self, name: &str, place: &str) -> Result<LogIndex, FetchError> {
        let full = self.bases.iter().find(|base| base.name() == name);
        let increment = self.increments.iter().find(|increment| increment.name == name);
        let full = full.map(|base| base.manifest.index);
        let end = full.or(increment.map(|increment| increment.index));
        end.ok_or_else(|| self.no_backup(name, place))
    }

    /// The backup of this name alone, with what its restore takes: for an increment its full backup and the log from there to its end. One that
    /// cannot be read is here, too.
    pub(crate) fn only(&self, name: &str, place: &str) -> Result<Self, FetchError> {
        if !self.hides(name) {
            self.end_of(name, place)?;
        }
        let increment = self.increments.iter().find(|increment| increment.name == name);
        let base = increment.map_or(name, |increment| increment.base.as_str());
        let mut only = self.clone();
        only.bases.retain(|found| found.name() == base);
        only.increments.retain(|found| found.name == name);
        only.unreadable
            .retain(|found| found.name() == name || found.name() == base);
        // Of a full backup that is not here nothing but its name says where it ends.
        let begin = only.bases.first().map(|base| base.manifest.index);
        let begin = begin.or(only.unreadable.first().map(Unreadable::index));
        let end = increment.map(|increment| increment.index);
        let is_needed = |segment: &ArchivedSegment| {
            let after = begin.is_none_or(|begin| segment.range.last > begin);
            after && end.is_some_and(|end| segment.range.first <= end)
        };
        only.segments.retain(is_needed);
        Ok(only)
    }

    fn no_backup(&self, name: &str, place: &str) -> FetchError {
        let hidden = self
            .unreadable
            .iter()
            .find(|unreadable| unreadable.name() == name);
        let full = self.bases.iter().map(BaseBackup::name);
        let increments = self.increments.iter().map(|increment| increment.name.as_str());
        let mut known: Vec<&str> = full.chain(increments).collect();
        // A name begins with the index.
        known.sort_unstable();
        known.reverse();
        known.truncate(NAMES_MAX);
        let why = match (hidden, known.is_empty()) {
            (Some(hidden), _) => format!(" that can be read: {}", hidden.reason),
            (None, true) => "; it has none".to_owned(),
            (None, false) => format!("; the newest it has: {}", known.join(", ")),
        };
        FetchError::NoBackup {
            place: place.to_owned(),
            name: name.to_owned(),
            why,
        }
    }
}
