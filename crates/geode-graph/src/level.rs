//! The feature level of the graph: a promise that every member understands what stands in the log from here on. It is raised by a command
//! of the log and never lowered, so a version that is too old for what is stored can say so before it reads any of it.

use crate::command::{Command, Effect};
use crate::error::{GraphError, Result};
use crate::keys::{Key, LEVEL};
use crate::record::PropertyList;
use geode_store::{Reader, WriteTxn};
use geode_types::FeatureLevel;

/// The level of what is stored. It is that of the first version until a command has raised it.
pub fn level(read: &impl Reader) -> Result<FeatureLevel> {
    match read.get(&Key::new(LEVEL))? {
        None => Ok(FeatureLevel::FIRST),
        Some(value) => decode(value),
    }
}

fn decode(value: &[u8]) -> Result<FeatureLevel> {
    match value {
        [level] => Ok(FeatureLevel(*level)),
        _ => Err(GraphError::corrupt("the feature level")),
    }
}

/// Raises the level; a lower one changes nothing.
pub(crate) fn raise(tx: &mut impl WriteTxn, to: FeatureLevel) -> Result<()> {
    understood(to)?;
    if level(tx)? < to {
        tx.put(&Key::new(LEVEL), &[to.0])?;
    }
    Ok(())
}

/// Refuses an entry of a snapshot that says that this version does not understand the others.
pub(crate) fn admit(key: &[u8], value: &[u8]) -> Result<()> {
    if *key == *Key::new(LEVEL) {
        understood(decode(value)?)?;
    }
    Ok(())
}

fn understood(level: FeatureLevel) -> Result<()> {
    if level > FeatureLevel::NEWEST {
        return Err(GraphError::LevelTooNew { level });
    }
    Ok(())
}

impl Command {
    /// The lowest level whose members understand it.
    pub fn level(&self) -> FeatureLevel {
        match self {
            Self::Cut { .. } => FeatureLevel::FIRST,
            Self::Step { .. } => FeatureLevel::SECOND,
            Self::Raise { to } => *to,
            Self::Commit(commit) => highest(&commit.effects),
        }
    }
}

impl Effect {
    /// The lowest level whose members understand it. Every effect is named here, so that a new one cannot come without its level.
    pub fn level(&self) -> FeatureLevel {
        match self {
            Self::CreateNode { record, .. } | Self::UpdateNode { record, .. } => {
                of_values(&record.properties)
            }
            Self::CreateEdge { record, .. } => of_values(&record.properties),
            Self::UpdateEdge { properties, .. } => of_values(properties),
            Self::DeleteNode { .. }
            | Self::DeleteEdge { .. }
            | Self::DefineToken { .. }
            | Self::DropUser { .. }
            | Self::PutCheckpoint { .. }
            | Self::DropCheckpoint { .. } => FeatureLevel::FIRST,
            Self::PutUser(user) => user.level(),
            Self::PutRole(_) | Self::DropRole { .. } => FeatureLevel::THIRD,
            Self::PutRule(_)
            | Self::DropRule { .. }
            | Self::PutObject { .. }
            | Self::DropObject { .. }
            | Self::PurgeGraph { .. } => FeatureLevel::SECOND,
        }
    }
}

fn of_values(properties: &PropertyList) -> FeatureLevel {
    let levels = properties.iter().map(|(_, value)| value.level());
    levels.max().unwrap_or(FeatureLevel::FIRST)
}

/// The lowest level whose members understand all of a commit.
pub fn highest(effects: &[Effect]) -> FeatureLevel {
    let levels = effects.iter().map(Effect::level);
    levels.max().unwrap_or(FeatureLevel::FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogPosition, apply, check, export, import, state_hash};
    use geode_store::{MemStore, Store};
    use geode_types::{ClusterId, LogIndex, NodeId, Term, Value};

    const NEWER: FeatureLevel = FeatureLevel(FeatureLevel::NEWEST.0 + 1);

    fn raised(store: &MemStore, index: u64, to: FeatureLevel) -> Result<FeatureLevel> {
        let mut tx = store.write()?;
        let at = LogPosition {
            term: Term(1),
            index: LogIndex(index),
        };
        apply(&mut tx, at, &Command::Raise { to })?;
        tx.commit()?;
        level(&store.read()?)
    }

    #[test]
    fn the_level_rises_by_a_command_and_never_falls() {
        let store = MemStore::new();
        assert_eq!(level(&store.read().unwrap()).unwrap(), FeatureLevel::FIRST);
        assert_eq!(
            raised(&store, 1, FeatureLevel::NEWEST).unwrap(),
            FeatureLevel::NEWEST
        );
        assert_eq!(
            raised(&store, 2, FeatureLevel::FIRST).unwrap(),
            FeatureLevel::NEWEST
        );
    }

    #[test]
    fn a_level_that_this_version_does_not_know_is_refused_in_the_log_and_in_a_snapshot() {
        let store = MemStore::new();
        let refused = raised(&store, 1, NEWER).unwrap_err();
        assert!(
            refused.to_string().contains("newer version of geode"),
            "{refused}"
        );

        let mut tx = store.write().unwrap();
        tx.put(&Key::new(LEVEL), &[NEWER.0]).unwrap();
        tx.commit().unwrap();
        let mut stream = Vec::new();
        export(&store.read().unwrap(), ClusterId(uuid::Uuid::nil()), &mut stream).unwrap();
        let checked = check(&mut stream.as_slice()).unwrap_err();
        assert!(
            checked.to_string().contains("newer version of geode"),
            "{checked}"
        );
        let target = MemStore::new();
        let before = state_hash(&target.read().unwrap()).unwrap();
        assert!(import(&target, &mut stream.as_slice(), None, &[]).is_err());
        assert_eq!(state_hash(&target.read().unwrap()).unwrap(), before);
    }

    #[test]
    fn a_command_needs_the_level_of_its_newest_effect() {
        let old = Effect::DeleteNode { id: NodeId(1) };
        let new = Effect::PurgeGraph {
            graph: crate::GraphId(3),
        };
        assert_eq!(highest(&[]), FeatureLevel::FIRST);
        assert_eq!(highest(std::slice::from_ref(&old)), FeatureLevel::FIRST);
        assert_eq!(highest(&[old.clone(), new, old]), FeatureLevel::SECOND);
    }

    #[test]
    fn a_user_who_may_not_do_everything_needs_members_that_know_so() {
        let level = |name: &str, role: &str| {
            let user = crate::UserRecord {
                name: name.to_owned(),
                hash: String::new(),
                role: role.to_owned(),
            };
            Effect::PutUser(user).level()
        };
        assert_eq!(level("ada", crate::ADMIN_ROLE), FeatureLevel::FIRST);
        assert_eq!(level("ada", "reader"), FeatureLevel::THIRD);
        assert_eq!(level("ada", ""), FeatureLevel::THIRD);
        // The switch of `geode admin set-read-only` is as old as users are.
        assert_eq!(level("\u{1}read-only", "by ada"), FeatureLevel::FIRST);
    }

    #[test]
    fn values_that_the_first_members_cannot_read_need_the_second_level_however_deep_they_stand() {
        let decimal = Value::List(vec![Value::Map(vec![(
            "price".to_owned(),
            Value::Decimal(geode_types::Decimal::ONE),
        )])]);
        for (value, level) in [
            (Value::List(vec![Value::Int(1)]), FeatureLevel::FIRST),
            (decimal, FeatureLevel::SECOND),
        ] {
            let properties = vec![(1, Value::Null), (2, value)];
            let update = Effect::UpdateEdge {
                id: geode_types::EdgeId(1),
                properties: properties.clone(),
            };
            let record = crate::NodeRecord {
                labels: crate::Labels::default(),
                properties,
            };
            let create = Effect::CreateNode {
                id: NodeId(1),
                record,
            };
            assert_eq!((create.level(), update.level()), (level, level));
        }
    }
}
