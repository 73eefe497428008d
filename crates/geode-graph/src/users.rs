//! The users of the cluster: name, password hash, role. Replicated like everything else; how a password is checked is the server's affair,
//! what a role may do stands in `roles`.

use crate::codec::{Decoded, end_of, put_bytes, take_str};
use crate::error::{GraphError, Result};
use crate::keys::{self, HEAD, Key, USERS};
use crate::roles::ADMIN_ROLE;
use geode_store::Reader;
use geode_types::FeatureLevel;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The name, which is the key.
    pub name: String,
    /// The password's hash in PHC form (`$argon2id$…`).
    pub hash: String,
    /// The name of the role as it is stored (`stored_role`); empty when it has none.
    pub role: String,
}

/// What the name of a record begins with that is kept among the users and is none, such as the switch that makes the database read-only.
const MARK: char = '\u{1}';

impl UserRecord {
    /// Whether somebody can be this user.
    pub fn is_person(&self) -> bool {
        !self.name.starts_with(MARK)
    }

    /// The lowest level whose members understand it. Older members let every user do everything.
    pub(crate) fn level(&self) -> FeatureLevel {
        if self.role == ADMIN_ROLE || !self.is_person() {
            FeatureLevel::FIRST
        } else {
            FeatureLevel::THIRD
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(self.hash.as_bytes(), out);
        put_bytes(self.role.as_bytes(), out);
    }

    pub(crate) fn take(name: String, input: &mut &[u8]) -> Decoded<Self> {
        Ok(Self {
            name,
            hash: take_str(input)?.to_owned(),
            role: take_str(input)?.to_owned(),
        })
    }

    pub(crate) fn decode(name: String, mut bytes: &[u8]) -> Decoded<Self> {
        let user = Self::take(name, &mut bytes)?;
        end_of(bytes).map(|()| user)
    }
}

pub(crate) fn key(name: &str) -> Vec<u8> {
    keys::named(USERS, None, name)
}

/// The user of this name.
pub fn user(read: &impl Reader, name: &str) -> Result<Option<UserRecord>> {
    if name.is_empty() || name.len() > crate::MAX_NAME_BYTES {
        return Ok(None);
    }
    let Some(bytes) = read.get(&key(name))? else {
        return Ok(None);
    };
    UserRecord::decode(name.to_owned(), bytes)
        .map(Some)
        .map_err(GraphError::undecodable(format_args!("user {name}")))
}

/// Whether there is any user. A cluster that has just begun has none.
pub fn has_users(read: &impl Reader) -> Result<bool> {
    let start = Key::new(USERS);
    Ok(read
        .range(&start, Some(&start.end()))?
        .next()
        .transpose()?
        .is_some())
}

/// All users, by name.
pub fn users(read: &impl Reader) -> Result<Vec<UserRecord>> {
    let start = Key::new(USERS);
    let mut all = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let name =
            String::from_utf8(key[HEAD..].to_vec()).map_err(|_| GraphError::corrupt("a user's name"))?;
        all.push(UserRecord::decode(name, bytes).map_err(GraphError::undecodable("a user"))?);
    }
    Ok(all)
}
