//! Roles and what they may do (docs/adr/0021). Users and roles share one space of names: the rights that a user has by itself stand in a
//! role record of its name, so that there is one kind of record, one kind of effect, and one question to ask of both.

use crate::codec::{DecodeError, Decoded, end_of, put_u64, take_count, take_u8, take_u64};
use crate::error::{GraphError, Result};
use crate::graphs::GraphId;
use crate::keys::{self, HEAD, Key, ROLES};
use crate::users::UserRecord;
use geode_store::Reader;
use std::ops::{BitOr, BitOrAssign};

/// The role that may do everything, as it is stored since before there were others.
pub const ADMIN_ROLE: &str = "admin";
/// How people call it.
const ADMINISTRATOR: &str = "administrator";
/// The role that may read every graph.
const READER_ROLE: &str = "reader";
/// The role that may read and write every graph.
const WRITER_ROLE: &str = "writer";

/// The roles that are always there, as people call them.
pub const BUILT_IN_ROLES: [&str; 3] = [ADMINISTRATOR, READER_ROLE, WRITER_ROLE];

/// A role's name as it is stored.
pub fn stored_role(name: &str) -> &str {
    if name == ADMINISTRATOR { ADMIN_ROLE } else { name }
}

/// A role's name as people call it.
pub fn shown_role(name: &str) -> &str {
    if name == ADMIN_ROLE { ADMINISTRATOR } else { name }
}

/// Whether a role is always there, by either name.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN_ROLES.contains(&shown_role(name))
}

/// A set of what can be done with a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(u8);

impl Actions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Nodes and edges are read.
    pub const SELECT: Self = Self(1);
    /// Nodes and edges are created.
    pub const INSERT: Self = Self(2);
    /// Properties and labels are changed.
    pub const UPDATE: Self = Self(4);
    /// Nodes and edges are deleted.
    pub const DELETE: Self = Self(8);
    /// All of it.
    pub const ALL: Self = Self(15);

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Those that are not in the other set.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How they are written, in the order in which they are listed.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (Self::SELECT, "SELECT"),
            (Self::INSERT, "INSERT"),
            (Self::UPDATE, "UPDATE"),
            (Self::DELETE, "DELETE"),
        ];
        all.into_iter()
            .filter(move |(action, _)| action.without(self).is_empty())
            .map(|(_, name)| name)
    }
}

impl BitOr for Actions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Actions {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// What may be done with a graph, or with every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// By number, so that a graph that takes the name of a dropped one begins without rights. `None`: all that there are and will be.
    pub graph: Option<GraphId>,
    /// What.
    pub actions: Actions,
}

/// A role, or what a user may do by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRecord {
    /// The name, which is the key.
    pub name: String,
    /// Ascending by graph, one for each, none without an action.
    pub grants: Vec<Grant>,
}

impl RoleRecord {
    /// One without rights.
    pub fn new(name: String) -> Self {
        Self {
            name,
            grants: Vec::new(),
        }
    }

    /// Adds rights.
    pub fn grant(&mut self, graph: Option<GraphId>, actions: Actions) {
        self.change(graph, |before| before | actions);
    }

    /// Takes rights away. `None` is every graph: also each of those that it has rights on by name.
    pub fn revoke(&mut self, graph: Option<GraphId>, actions: Actions) {
        match graph {
            Some(_) => self.change(graph, |before| before.without(actions)),
            None => {
                for grant in &mut self.grants {
                    grant.actions = grant.actions.without(actions);
                }
                self.grants.retain(|grant| !grant.actions.is_empty());
            }
        }
    }

    fn change(&mut self, graph: Option<GraphId>, change: impl FnOnce(Actions) -> Actions) {
        match self.grants.binary_search_by_key(&graph, |grant| grant.graph) {
            Ok(at) => {
                let actions = change(self.grants[at].actions);
                if actions.is_empty() {
                    self.grants.remove(at);
                } else {
                    self.grants[at].actions = actions;
                }
            }
            Err(at) => {
                let actions = change(Actions::NONE);
                if !actions.is_empty() {
                    self.grants.insert(at, Grant { graph, actions });
                }
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(self.grants.len() as u64, out);
        for grant in &self.grants {
            put_u64(grant.graph.map_or(0, |graph| u64::from(graph.0) + 1), out);
            out.push(grant.actions.0);
        }
    }

    pub(crate) fn take(name: String, input: &mut &[u8]) -> Decoded<Self> {
        let count = take_count(input)?;
        let mut grants: Vec<Grant> = Vec::with_capacity(count.min(1 << 10));
        for _ in 0..count {
            let graph = match take_u64(input)?.checked_sub(1) {
                None => None,
                Some(graph) => Some(GraphId(u16::try_from(graph).map_err(|_| DecodeError::Overflow)?)),
            };
            let actions = Actions(take_u8(input)?);
            if actions.is_empty() || !actions.without(Actions::ALL).is_empty() {
                return Err(DecodeError::UnknownTag(actions.0));
            }
            if grants.last().is_some_and(|last| last.graph >= graph) {
                return Err(DecodeError::Unsorted);
            }
            grants.push(Grant { graph, actions });
        }
        Ok(Self { name, grants })
    }

    fn decode(name: String, mut bytes: &[u8]) -> Decoded<Self> {
        let role = Self::take(name, &mut bytes)?;
        end_of(bytes).map(|()| role)
    }
}

pub(crate) fn key(name: &str) -> Vec<u8> {
    keys::named(ROLES, None, name)
}

/// The role of this name, or what the user of this name may do by itself. Those that are always there are not stored.
pub fn role(read: &impl Reader, name: &str) -> Result<Option<RoleRecord>> {
    if name.is_empty() || name.len() > crate::MAX_NAME_BYTES {
        return Ok(None);
    }
    let Some(bytes) = read.get(&key(name))? else {
        return Ok(None);
    };
    RoleRecord::decode(name.to_owned(), bytes)
        .map(Some)
        .map_err(GraphError::undecodable(format_args!("role {name}")))
}

/// All that are stored, by name.
pub fn roles(read: &impl Reader) -> Result<Vec<RoleRecord>> {
    let start = Key::new(ROLES);
    let mut all = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let name =
            String::from_utf8(key[HEAD..].to_vec()).map_err(|_| GraphError::corrupt("a role's name"))?;
        all.push(RoleRecord::decode(name, bytes).map_err(GraphError::undecodable("a role"))?);
    }
    Ok(all)
}

/// What somebody may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Everything.
    pub is_administrator: bool,
    /// Otherwise this.
    pub grants: Vec<Grant>,
}

impl Rights {
    /// Those of an administrator.
    pub const EVERYTHING: Self = Self {
        is_administrator: true,
        grants: Vec::new(),
    };

    /// What of the wanted actions may not be done with a graph.
    pub fn missing(&self, graph: GraphId, wanted: Actions) -> Actions {
        if self.is_administrator {
            return Actions::NONE;
        }
        let about = |grant: &&Grant| grant.graph.is_none_or(|granted| granted == graph);
        let grants = self.grants.iter().filter(about);
        grants.fold(wanted, |missing, grant| missing.without(grant.actions))
    }
}

/// What a user may do: what its role may, and what is granted to itself.
pub fn rights(read: &impl Reader, user: &UserRecord) -> Result<Rights> {
    let of_role = match user.role.as_str() {
        ADMIN_ROLE => return Ok(Rights::EVERYTHING),
        READER_ROLE => vec![everywhere(Actions::SELECT)],
        WRITER_ROLE => vec![everywhere(Actions::ALL)],
        other => grants_of(read, other)?,
    };
    let mut grants = of_role;
    grants.extend(grants_of(read, &user.name)?);
    Ok(Rights {
        is_administrator: false,
        grants,
    })
}

fn everywhere(actions: Actions) -> Grant {
    Grant { graph: None, actions }
}

fn grants_of(read: &impl Reader, name: &str) -> Result<Vec<Grant>> {
    Ok(role(read, name)?.map_or_else(Vec::new, |role| role.grants))
}

/// What the roles that are always there may do with every graph.
pub fn built_in_actions(name: &str) -> Option<Actions> {
    match shown_role(name) {
        ADMINISTRATOR | WRITER_ROLE => Some(Actions::ALL),
        READER_ROLE => Some(Actions::SELECT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: GraphId = GraphId(3);

    fn shown(actions: Actions) -> Vec<&'static str> {
        actions.names().collect()
    }

    #[test]
    fn a_grant_on_one_graph_opens_no_other_and_one_on_all_opens_every_one() {
        let mut role = RoleRecord::new("r".to_owned());
        role.grant(Some(G), Actions::SELECT | Actions::INSERT);
        let rights = |role: &RoleRecord| Rights {
            is_administrator: false,
            grants: role.grants.clone(),
        };
        let missing = rights(&role).missing(G, Actions::ALL);
        assert_eq!(shown(missing), ["UPDATE", "DELETE"]);
        assert_eq!(
            rights(&role).missing(GraphId::HOME, Actions::SELECT),
            Actions::SELECT
        );
        role.grant(None, Actions::SELECT);
        assert!(rights(&role).missing(GraphId(9), Actions::SELECT).is_empty());
        assert!(Rights::EVERYTHING.missing(GraphId(9), Actions::ALL).is_empty());
        assert_eq!(Rights::default().missing(G, Actions::SELECT), Actions::SELECT);
    }

    #[test]
    fn what_is_revoked_is_gone_and_nothing_empty_is_left() {
        let mut role = RoleRecord::new("r".to_owned());
        role.grant(Some(G), Actions::SELECT | Actions::DELETE);
        role.revoke(Some(G), Actions::DELETE | Actions::UPDATE);
        role.revoke(Some(GraphId::HOME), Actions::SELECT);
        let left = Grant {
            graph: Some(G),
            actions: Actions::SELECT,
        };
        assert_eq!(role.grants, [left]);
        role.grant(None, Actions::INSERT);
        role.revoke(Some(G), Actions::SELECT);
        assert_eq!(role.grants, [everywhere(Actions::INSERT)]);
        // From every graph is also from each one.
        role.grant(Some(G), Actions::INSERT);
        role.revoke(None, Actions::INSERT);
        assert!(role.grants.is_empty());
    }

    #[test]
    fn a_role_survives_its_bytes_and_what_is_no_role_is_refused() {
        let mut role = RoleRecord::new("r".to_owned());
        role.grant(Some(G), Actions::ALL);
        role.grant(Some(GraphId::HOME), Actions::UPDATE);
        role.grant(None, Actions::SELECT);
        let mut bytes = Vec::new();
        role.encode(&mut bytes);
        assert_eq!(bytes, [3, 0, 1, 1, 4, 4, 15]);
        assert_eq!(RoleRecord::decode("r".to_owned(), &bytes), Ok(role));
        for wrong in [&[1][..], &[1, 0, 0], &[1, 0, 16], &[2, 1, 1, 1, 1], &[0, 0]] {
            assert!(RoleRecord::decode("r".to_owned(), wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_administrator_is_stored_under_its_old_name() {
        assert_eq!(
            (stored_role("administrator"), shown_role("admin")),
            ("admin", "administrator")
        );
        assert!(is_built_in("admin") && is_built_in("administrator") && !is_built_in("auditor"));
        assert_eq!(built_in_actions("reader"), Some(Actions::SELECT));
    }
}
