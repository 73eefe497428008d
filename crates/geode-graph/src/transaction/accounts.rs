//! Users, roles and rights in a transaction. A role and a user have one space of names, so that reading one notes the name for both.

use super::Transaction;
use super::overlay::{Named, Overlay, Undo};
use super::size::{ENTRY_BYTES, user_bytes};
use crate::catalog::check_name;
use crate::command::Effect;
use crate::error::Result;
use crate::readset::Touch;
use crate::roles::{self, RoleRecord};
use crate::users::UserRecord;
use geode_store::ReadTxn;
use std::collections::BTreeMap;

/// About how much a grant takes.
const GRANT_BYTES: usize = 8;

impl<R: ReadTxn> Transaction<R> {
    /// The stored role of this name, or what the user of this name may do by itself.
    pub fn role(&self, name: &str) -> Result<Option<RoleRecord>> {
        self.note(|| Touch::User(name.to_owned()));
        match self.overlay.roles.get(name) {
            Some(role) => Ok(role.now.clone()),
            None => roles::role(self.snapshot.reader(), name),
        }
    }

    /// All that are stored, by name.
    pub fn roles(&self) -> Result<Vec<RoleRecord>> {
        self.note(|| Touch::Users);
        let stored = roles::roles(self.snapshot.reader())?;
        let mut all: BTreeMap<String, RoleRecord> =
            stored.into_iter().map(|role| (role.name.clone(), role)).collect();
        for (name, role) in &self.overlay.roles {
            match &role.now {
                Some(role) => all.insert(name.clone(), role.clone()),
                None => all.remove(name),
            };
        }
        Ok(all.into_values().collect())
    }

    /// Creates a role or replaces the one of this name.
    pub fn put_role(&mut self, role: RoleRecord) -> Result<()> {
        self.ids()?;
        check_name(&role.name)?;
        self.role(&role.name)?;
        self.set_role(&role.name.clone(), Some(role))
    }

    /// Removes a role; whether there was one.
    pub fn drop_role(&mut self, name: &str) -> Result<bool> {
        self.ids()?;
        let known = self.role(name)?.is_some();
        if known {
            self.set_role(name, None)?;
        }
        Ok(known)
    }

    fn set_role(&mut self, name: &str, now: Option<RoleRecord>) -> Result<()> {
        let stored = match self.overlay.roles.get(name) {
            Some(role) => role.stored,
            None => roles::role(self.snapshot.reader(), name)?.is_some(),
        };
        let undo = self.overlay.set_role(name, Some(Named { stored, now }));
        self.remember(undo);
        self.check_limit()
    }
}

impl Overlay {
    /// Sets what a user is now (`None` removes the entry) and returns what undoes it.
    pub(super) fn set_user(&mut self, name: &str, user: Option<Named<UserRecord>>) -> Undo {
        self.bytes += user.as_ref().map_or(0, user_bytes);
        let old = match user {
            Some(user) => self.users.insert(name.to_owned(), user),
            None => self.users.remove(name),
        };
        self.bytes -= old.as_ref().map_or(0, user_bytes);
        Undo::User(name.to_owned(), old)
    }

    /// Sets what a role is now (`None` removes the entry) and returns what undoes it.
    pub(super) fn set_role(&mut self, name: &str, role: Option<Named<RoleRecord>>) -> Undo {
        self.bytes += role.as_ref().map_or(0, role_bytes);
        let old = match role {
            Some(role) => self.roles.insert(name.to_owned(), role),
            None => self.roles.remove(name),
        };
        self.bytes -= old.as_ref().map_or(0, role_bytes);
        Undo::Role(name.to_owned(), old)
    }
}

fn role_bytes(role: &Named<RoleRecord>) -> usize {
    let content = |role: &RoleRecord| role.name.len() + GRANT_BYTES * role.grants.len();
    ENTRY_BYTES + role.now.as_ref().map_or(0, content)
}

/// The effects of users and roles that have changed.
pub(super) fn account_effects(
    users: BTreeMap<String, Named<UserRecord>>,
    roles: BTreeMap<String, Named<RoleRecord>>,
    effects: &mut Vec<Effect>,
    touches: &mut Vec<Touch>,
) {
    for (name, user) in users {
        touches.extend([Touch::User(name.clone()), Touch::Users]);
        match user.now {
            Some(user) => effects.push(Effect::PutUser(user)),
            None if user.stored => effects.push(Effect::DropUser { name }),
            None => {}
        }
    }
    for (name, role) in roles {
        touches.extend([Touch::User(name.clone()), Touch::Users]);
        match role.now {
            Some(role) => effects.push(Effect::PutRole(role)),
            None if role.stored => effects.push(Effect::DropRole { name }),
            None => {}
        }
    }
}
